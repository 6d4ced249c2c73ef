"""Traits that configure an engine of many nodes."""

from __future__ import annotations

from traitlets import Enum, Float, HasTraits, Integer, List, Unicode

from nds_jupyter.engines.swarm.settings import SwarmSettings


class SwarmConfiguration(HasTraits):
    """The traits of `NdsApp` that choose between one engine and a Swarm, and say how it is used."""

    engine = Enum(
        ["auto", "docker", "swarm"],
        "auto",
        help="What runs the jobs: one Docker Engine, or a Docker Swarm. auto: a Swarm if the "
        "engine is a manager of one with more than one active node, else that engine alone.",
    ).tag(config=True)
    endpoints = List(
        Unicode(),
        help="The Docker Engines of a Swarm's nodes: unix://, ssh:// or tcp:// URLs, or names of "
        "Docker contexts. They are matched to the nodes by NodeID; several managers are tried in "
        "turn. What runs on a node that is not named here can only be asked of the manager.",
    ).tag(config=True)
    endpoint_certificates = Unicode(
        "",
        help="Folder with ca.pem, cert.pem and key.pem for tcp:// endpoints. A context brings its "
        "own.",
    ).tag(config=True)
    constraints = List(
        Unicode(),
        help="What every job's node must fulfil, in Swarm's words: node.role==worker.",
    ).tag(config=True)
    gpu_resource = Unicode(
        "gpu", help="What the nodes call a GPU in node-generic-resources of their daemon.json."
    ).tag(config=True)
    max_gpus = Integer(0, min=0, help="The most GPUs a job may ask for.").tag(config=True)
    max_retries = Integer(
        10,
        min=0,
        help="The most times that a job may ask to be run again when its node or container was "
        "lost.",
    ).tag(config=True)
    node_deadline = Float(
        3.0,
        min=0.1,
        help="Seconds after which a node that says nothing is left out of an answer about all.",
    ).tag(config=True)
    node_lost_after = Float(
        30.0,
        min=0,
        help="Seconds for which a node may be down before a job that ran there is FAILED.",
    ).tag(config=True)

    stager_image = Unicode(
        "",
        help="Image of a helper container that fetches inputs from iRODS on the job's own node of "
        "a Swarm, so that they do not pass through this server; docs/swarm.md says how to build "
        "it. It is given the account of the data root, as a Swarm secret that is removed "
        "afterwards. Empty: inputs pass through this server.",
    ).tag(config=True)

    def swarm_settings(self) -> SwarmSettings:
        """Return how a Swarm is used."""
        return SwarmSettings(
            endpoints=tuple(self.endpoints),
            certificates=self.endpoint_certificates,
            constraints=tuple(self.constraints),
            gpu_resource=self.gpu_resource,
            node_deadline=self.node_deadline,
            lost_after=self.node_lost_after,
        )
