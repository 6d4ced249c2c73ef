/**
 * Types of the REST API's JSON, as `nds_jupyter/rest/views.py` has it, and of what panels share.
 *
 * @typedef {"UNKNOWN" | "RUNNING" | "FAILED" | "COMPLETED"} JobState
 *
 * @typedef {object} Progress
 * @property {number} done
 * @property {number | null} total
 * @property {string} unit
 *
 * @typedef {object} Limits
 * @property {number} cpus
 * @property {number} memory bytes
 * @property {number} pids
 *
 * @typedef {object} Job
 * @property {string} job_id
 * @property {string | null} container_id
 * @property {string | null} worker
 * @property {boolean} background whether the cell that waits for it is to go on without it
 * @property {JobState} state
 * @property {string} phase
 * @property {Progress | null} progress
 * @property {number | null} exit_code
 * @property {string | null} reason
 * @property {string} message
 * @property {string} owner
 * @property {string} name
 * @property {string} scriptname
 * @property {string} image
 * @property {string | null} image_digest
 * @property {string[]} data
 * @property {string | null} output
 * @property {Limits} limits
 * @property {string} created
 * @property {string | null} started
 * @property {string | null} finished
 * @property {string[] | null} [command]
 * @property {string[]} [args]
 * @property {string[]} [env] names only
 * @property {Record<string, string>} [labels]
 * @property {number | null} [timeout] seconds
 * @property {number} [retries]
 * @property {number} [attempts] how often its script was let go
 * @property {string} [network]
 * @property {string} [script_sha256]
 * @property {string | null} [removed]
 *
 * @typedef {object} Sample what a container used at one time
 * @property {string} at
 * @property {number} cpu_percent
 * @property {number} memory_usage
 * @property {number} memory_limit
 * @property {number} network_rx
 * @property {number} network_tx
 * @property {number} block_read
 * @property {number} block_write
 * @property {number} pids
 *
 * @typedef {object} Metrics
 * @property {Sample | null} now
 * @property {Sample[]} history
 *
 * @typedef {object} LogLine
 * @property {string} stream
 * @property {string} time
 * @property {string} text
 * @property {boolean} [cut]
 *
 * @typedef {object} Load
 * @property {number} running
 * @property {number} queued
 * @property {number} [places]
 * @property {number | null} [cpus]
 * @property {number | null} [memory] bytes
 * @property {number} [cpu_percent] of one CPU
 * @property {number} [memory_usage] bytes
 *
 * @typedef {object} Image
 * @property {string} name
 * @property {string} tag
 * @property {number} size
 * @property {boolean} present
 *
 * @typedef {object} Change a row of `/diff`
 * @property {string} path
 * @property {"added" | "modified" | "deleted"} kind
 * @property {string | null} [type]
 * @property {number | null} [size]
 *
 * @typedef {object} ResultEntry a row of `/list_results`
 * @property {string} name
 * @property {string} path
 * @property {"dir" | "file" | "link" | "other"} kind
 * @property {number} size
 * @property {string} modified
 *
 * @typedef {object} DataEntry a row of `/list_data`
 * @property {string} name
 * @property {string} url
 * @property {string} path
 * @property {"collection" | "data_object"} kind
 * @property {number} size
 * @property {string | null} modified
 * @property {string | null} checksum
 *
 * @typedef {object} Avu
 * @property {string} name
 * @property {string} value
 * @property {string} [unit]
 *
 * @typedef {object} Replica a row of `/replicas`
 * @property {number} number
 * @property {string} resource
 * @property {string} status
 * @property {number} size
 *
 * @typedef {object} FollowedJob a job whose log or metrics the page asks `/events` for
 * @property {string} job_id
 * @property {boolean} log
 * @property {string | null} log_since
 * @property {number} log_tail
 * @property {boolean} metrics
 *
 * @typedef {object} EventMessage
 * @property {string} type
 * @property {string} [seq]
 * @property {string} [job_id]
 * @property {Job} [job]
 * @property {boolean} [deleted]
 * @property {LogLine[]} [lines]
 * @property {number | null} [skipped]
 * @property {string | null} [refetch_since]
 * @property {boolean} [end]
 * @property {Sample} [sample]
 * @property {string} [message]
 *
 * @typedef {"connecting" | "live" | "polling" | "lost"} ConnectionStatus
 *
 * @typedef {object} EventFeed a source of the messages of `/events`
 * @property {(followed: () => FollowedJob[]) => void} follow ask for these jobs, now and after a reconnect
 * @property {() => void} close
 *
 * @typedef {object} Host actions that the place where a panel is mounted offers to it
 * @property {(job: Job) => void} openJob
 * @property {(prefill: Partial<Submission>) => void} openSubmit
 * @property {(message: string, kind: "success" | "error" | "info", act?: () => void) => void} notify
 * @property {((text: string) => boolean) | null} insertInCell
 *
 * @typedef {object} Submission the fields of `POST /upload` that the form knows
 * @property {string} script
 * @property {string} scriptname
 * @property {string} image_name
 * @property {string} name
 * @property {string[]} data
 * @property {string} output
 * @property {Record<string, string>} env
 * @property {number} cpus
 * @property {string} memory
 * @property {number} timeout
 * @property {number} retries
 * @property {string} network
 */
export {};
