"""How each node of a Swarm is, and each endpoint that is no node's, as a sentence. Pure."""

from __future__ import annotations

from nds_jupyter.engines.cluster import NodeReport
from nds_jupyter.engines.swarm.answers import View
from nds_jupyter.engines.swarm.node_engine import Membership, NodeEngine
from nds_jupyter.engines.swarm.tasks import Node, NodeState


def node_reports(view: View) -> tuple[NodeReport, ...]:
    """Say of every node, and of every endpoint that is no node's, how it is."""
    known = {node.id for node in view.nodes}
    members = {member.node_id: member for member in view.members.values()}
    reports = [_of_node(node, members.get(node.id), view) for node in view.nodes]
    reports += [_of_stranger(engine, said) for engine, said in view.strangers.items()]
    reports += [
        _of_member(member, view) for member in view.members.values() if member.node_id not in known
    ]
    return tuple(sorted(reports, key=lambda report: report.name))


def _of_node(node: Node, member: Membership | None, view: View) -> NodeReport:
    message = ""
    if node.state is NodeState.DOWN:
        message = f"{node.name} is down, says the manager. Start its engine or mend its network."
    elif member is None:
        message = (
            f"{node.name} has no endpoint that answers: its files, metrics and results can't be "
            "had. Add its engine's URL or Docker context to c.NdsApp.endpoints."
        )
    elif node.id in view.silent:
        message = _silence(node.name, node.id, view)
    reachable = not message
    if reachable and not node.active:
        message = f"{node.name} is drained or paused: it gets no new jobs."
    if not message and member is not None and not _keeps_privileges_down(member):
        message = (
            f"The engine of {node.name} does not say that it sets no-new-privileges, which a "
            'service can\'t ask for: put "no-new-privileges": true into its daemon.json.'
        )
    return NodeReport(name=node.name, reachable=reachable, message=message)


def _silence(name: str, node_id: str, view: View) -> str:
    if node_id in view.troubles:
        return f"{name}: {view.troubles[node_id]}"
    return f"The engine of {name} {view.silent[node_id]}."


def _keeps_privileges_down(member: Membership) -> bool:
    return any("no-new-privileges" in option for option in member.security)


def _of_stranger(engine: NodeEngine, said: str) -> NodeReport:
    return NodeReport(name=engine.address, reachable=False, message=f"{engine.address}: {said}")


def _of_member(member: Membership, view: View) -> NodeReport:
    """Report what the managers have not named: they are silent, or it is none of theirs."""
    if member.node_id in view.silent:
        message = _silence(member.name, member.node_id, view)
    elif not view.manager_answers:
        message = f"{member.name} answers, but no manager of the Swarm does."
    else:
        message = f"{member.name} belongs to another Swarm. Take it out of c.NdsApp.endpoints."
    return NodeReport(name=member.name, reachable=False, message=message)
