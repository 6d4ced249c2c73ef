/** What is dropped on a panel: files, and folders with all they hold. */

/** @typedef {{ path: string, file: File | null }} Dropped its path below the place where it is dropped; a folder has no file */

/**
 * @param {DataTransfer} data
 * @returns {Promise<Dropped[]>} each folder before what it holds
 */
export async function droppedFiles(data) {
  // Asked for before anything is awaited: afterwards the browser has emptied it.
  const given = [...data.items]
    .filter(({ kind }) => kind === "file")
    .map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  /** @type {Dropped[]} */
  const found = [];
  for (const { entry, file } of given) {
    if (entry) await walk(entry, "", found);
    else if (file) found.push({ path: file.name, file });
  }
  return found;
}

/** @param {Iterable<File>} files @returns {Dropped[]} */
export function chosenFiles(files) {
  return [...files].map((file) => ({ path: file.name, file }));
}

/** @param {FileSystemEntry} entry @param {string} above @param {Dropped[]} found */
async function walk(entry, above, found) {
  const path = `${above}${entry.name}`;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
    found.push({ path, file });
    return;
  }
  found.push({ path, file: null });
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  // A folder is read a hundred entries at a time, until none comes.
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const each of some) await walk(each, `${path}/`, found);
  }
}
