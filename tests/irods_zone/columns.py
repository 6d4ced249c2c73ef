"""Columns of queries by number and name, and how their tables are joined."""

from __future__ import annotations

from dataclasses import dataclass

from tests.irods_zone.codes import Level
from tests.irods_zone.permissions import Identity

# The number in GenQuery1, the name in GenQuery2 ("-" where a language lacks it), the expression
# over the tables of SOURCES.
_COLUMNS = """
101 ZONE_ID Z.id
102 ZONE_NAME Z.name
103 ZONE_TYPE Z.type
201 USER_ID U.id
202 USER_NAME U.name
203 USER_TYPE U.type
204 USER_ZONE U.zone
206 USER_INFO U.info
207 USER_COMMENT U.comment
208 USER_CREATE_TIME U.ctime
209 USER_MODIFY_TIME U.mtime
301 RESC_ID R.id
302 RESC_NAME R.name
303 RESC_ZONE_NAME R.zone
304 RESC_TYPE_NAME R.type
305 RESC_CLASS_NAME R.class
306 RESC_HOSTNAME R.location
307 RESC_VAULT_PATH R.vault
308 RESC_FREE_SPACE R.free
310 RESC_COMMENT R.comment
311 RESC_CREATE_TIME R.ctime
312 RESC_MODIFY_TIME R.mtime
313 RESC_STATUS R.status
314 RESC_FREE_SPACE_TIME R.free_time
315 RESC_CHILDREN R.children
316 RESC_CONTEXT R.context
317 RESC_PARENT_ID R.parent
318 RESC_PARENT_CONTEXT R.parent_context
401 DATA_ID D.id
402 DATA_COLL_ID D.collection_id
403 DATA_NAME D.name
404 DATA_REPL_NUM D.number
405 DATA_VERSION D.version
406 DATA_TYPE_NAME D.type
407 DATA_SIZE D.size
409 - D.resource
410 DATA_PATH D.path
411 - D.owner
412 - D.owner_zone
413 DATA_REPL_STATUS D.status
414 DATA_STATUS D.status_text
415 DATA_CHECKSUM D.checksum
416 DATA_EXPIRY D.expiry
417 DATA_MAP_ID D.map_id
418 DATA_COMMENTS D.comment
419 DATA_CREATE_TIME D.ctime
420 DATA_MODIFY_TIME D.mtime
421 DATA_MODE D.mode
422 - H1.hier
423 DATA_RESC_ID D.resource_id
424 DATA_ACCESS_TIME D.atime
500 COLL_ID C.id
501 COLL_NAME C.name
502 COLL_PARENT_NAME C.parent
503 - C.owner
504 - C.owner_zone
505 COLL_MAP_ID C.map_id
506 COLL_INHERITANCE C.inherit
507 COLL_COMMENTS C.comment
508 COLL_CREATE_TIME C.ctime
509 COLL_MODIFY_TIME C.mtime
510 COLL_TYPE C.type
511 COLL_INFO1 C.info1
512 COLL_INFO2 C.info2
600 META_DATA_ATTR_NAME MD.name
601 META_DATA_ATTR_VALUE MD.value
602 META_DATA_ATTR_UNITS MD.units
603 META_DATA_ATTR_ID MD.id
604 META_DATA_CREATE_TIME MD.ctime
605 META_DATA_MODIFY_TIME MD.mtime
610 META_COLL_ATTR_NAME MC.name
611 META_COLL_ATTR_VALUE MC.value
612 META_COLL_ATTR_UNITS MC.units
613 META_COLL_ATTR_ID MC.id
614 META_COLL_CREATE_TIME MC.ctime
615 META_COLL_MODIFY_TIME MC.mtime
630 META_RESC_ATTR_NAME MR.name
631 META_RESC_ATTR_VALUE MR.value
632 META_RESC_ATTR_UNITS MR.units
633 META_RESC_ATTR_ID MR.id
634 META_RESC_CREATE_TIME MR.ctime
635 META_RESC_MODIFY_TIME MR.mtime
640 META_USER_ATTR_NAME MU.name
641 META_USER_ATTR_VALUE MU.value
642 META_USER_ATTR_UNITS MU.units
643 META_USER_ATTR_ID MU.id
644 META_USER_CREATE_TIME MU.ctime
645 META_USER_MODIFY_TIME MU.mtime
700 - DA.level
701 - DT.name
702 - DT.namespace
703 - DA.user_id
704 - DA.object_id
710 - CA.level
711 - CT.name
712 - CT.namespace
713 - CA.user_id
714 - CA.object_id
900 - G.id
901 - G.name
1300 - CU.name
1301 - CU.zone
2200 - T.id
2201 - T.string
2202 - T.type
2203 - T.user_id
2204 - T.object_id
2205 - T.object_type
2206 - T.uses_limit
2207 - T.uses
2208 - T.expiry
2209 - T.ctime
2210 - T.mtime
2211 - T.writes
2212 - T.write_limit
2213 - T.bytes
2214 - T.byte_limit
2220 - TH.ticket_id
2221 - TH.name
2222 - TU.ticket_id
2223 - TU.name
2224 - TG.ticket_id
2225 - TG.name
2226 - TD.name
2227 - TP.name
2228 - TC.name
2229 - TO1.name
2230 - TO1.zone
- DATA_RESC_HIER H.hier
- DATA_ACCESS_PERM_ID PDA.level
- DATA_ACCESS_PERM_NAME PDT.name
- DATA_ACCESS_USER_ID PDA.user_id
- DATA_ACCESS_USER_NAME PDU.name
- DATA_ACCESS_USER_ZONE PDU.zone
- COLL_ACCESS_PERM_ID PCA.level
- COLL_ACCESS_PERM_NAME PCT.name
- COLL_ACCESS_USER_ID PCA.user_id
- COLL_ACCESS_USER_NAME PCU.name
- COLL_ACCESS_USER_ZONE PCU.zone
- GROUP_ID GM.group_id
- GROUP_MEMBER_ID GM.user_id
- DELAY_RULE_ESTIMATED_EXE_TIME N.value
- DELAY_RULE_EXE_ADDRESS N.value
- DELAY_RULE_EXE_FREQUENCY N.value
- DELAY_RULE_EXE_TIME N.value
- DELAY_RULE_ID N.value
- DELAY_RULE_LAST_EXE_TIME N.value
- DELAY_RULE_LOCK_HOST N.value
- DELAY_RULE_LOCK_HOST_PID N.value
- DELAY_RULE_LOCK_TIME N.value
- DELAY_RULE_NAME N.value
- DELAY_RULE_NOTIFICATION_ADDR N.value
- DELAY_RULE_PRIORITY N.value
- DELAY_RULE_REI_FILE_PATH N.value
- DELAY_RULE_STATUS N.value
- DELAY_RULE_USER_NAME N.value
- USER_AUTH_ID N.value
- USER_DN N.value
- USER_DN_INVALID U.comment
- RESC_INFO R.info
- RESC_MODIFY_TIME_MILLIS R.millis
- ZONE_COMMENT Z.comment
- ZONE_CONNECTION Z.connection
- ZONE_CREATE_TIME Z.ctime
- ZONE_MODIFY_TIME Z.mtime
"""
_ROWS = [line.split() for line in _COLUMNS.split("\n") if line]
BY_NUMBER = {int(number): expression for number, _, expression in _ROWS if number != "-"}
BY_NAME = {name: expression for _, name, expression in _ROWS if name != "-"}
NUMBERS = {"id", "size", "number", "level", "map_id"} | {
    f"{table}_id" for table in ("user", "group", "object", "collection", "resource", "ticket")
}

_TOKENS = "(SELECT level, name, 'access_type' AS namespace FROM tokens)"
SOURCES = {
    "C": "collections",
    "D": "replicas",
    "R": "(SELECT *, '' AS info, '' AS millis FROM resources)",
    "H": "hierarchies",
    "H1": "(SELECT * FROM hierarchies WHERE parent = '')",
    "N": "(SELECT '' AS value WHERE 0)",
    "U": "users",
    "Z": "(SELECT *, '' AS comment, '' AS connection, '' AS ctime, '' AS mtime FROM zones)",
    "G": "users",
    "MDO": "avu_of",
    "MD": "avus",
    "MCO": "avu_of",
    "MC": "avus",
    "MRO": "avu_of",
    "MR": "avus",
    "MUO": "avu_of",
    "MU": "avus",
    "DA": "access",
    "DT": _TOKENS,
    "CA": "access",
    "CT": _TOKENS,
    "CU": "users",
    "GM": "members",
    "T": "tickets",
    "TO1": "users",
    "TD": "replicas",
    "TP": "collections",
    "TC": "collections",
    "TH": "(SELECT * FROM ticket_limits WHERE kind = 'host')",
    "TU": "(SELECT * FROM ticket_limits WHERE kind = 'user')",
    "TG": "(SELECT * FROM ticket_limits WHERE kind = 'group')",
}
NEEDS = {
    "H": "D R",
    "H1": "D R",
    "MD": "D MDO",
    "MC": "C MCO",
    "MR": "R MRO",
    "MU": "U MUO",
    "DA": "D DT",
    "DT": "DA",
    "CA": "C CT",
    "CT": "CA",
    "CU": "CA C CT",
    "G": "GM",
    "TO1": "T",
    "TD": "T TP",
    "TP": "TD T",
    "TC": "T",
    "TH": "T",
    "TU": "T",
    "TG": "T",
}
LINKS = (
    ("D", "C", "C.id = D.collection_id"),
    ("D", "R", "R.id = D.resource_id"),
    ("R", "H", "H.id = R.id"),
    ("R", "H1", "H1.id = R.id"),
    ("D", "MDO", "MDO.object_id = D.id"),
    ("MDO", "MD", "MD.id = MDO.avu_id"),
    ("C", "MCO", "MCO.object_id = C.id"),
    ("MCO", "MC", "MC.id = MCO.avu_id"),
    ("R", "MRO", "MRO.object_id = R.id"),
    ("MRO", "MR", "MR.id = MRO.avu_id"),
    ("U", "MUO", "MUO.object_id = U.id"),
    ("MUO", "MU", "MU.id = MUO.avu_id"),
    ("D", "DA", "DA.object_id = D.id"),
    ("DA", "DT", "DT.level = DA.level"),
    ("DA", "U", "U.id = DA.user_id"),
    ("C", "CA", "CA.object_id = C.id"),
    ("CA", "CT", "CT.level = CA.level"),
    ("CA", "CU", "CU.id = CA.user_id"),
    ("GM", "G", "G.id = GM.group_id"),
    ("U", "GM", "U.id = GM.user_id"),
    ("T", "TO1", "TO1.id = T.user_id"),
    ("T", "TD", "TD.id = T.object_id"),
    ("TD", "TP", "TP.id = TD.collection_id"),
    ("T", "TC", "TC.id = T.object_id"),
    ("T", "TH", "TH.ticket_id = T.id"),
    ("T", "TU", "TU.ticket_id = T.id"),
    ("T", "TG", "TG.ticket_id = T.id"),
)

ON = {right: on for _, right, on in LINKS}
OPTIONAL = ("MDO", "MD", "MCO", "MC", "MRO", "MR", "MUO", "MU")
"""Metadata, which GenQuery2 joins so that what has none is there all the same."""

_ACCESSES = (
    " {kind} access AS P{of}A ON P{of}A.object_id = {of}.id"
    " {kind} members AS P{of}M ON P{of}M.group_id = P{of}A.user_id"
    " {kind} users AS P{of}U ON P{of}U.id = P{of}M.user_id"
    f" {{kind}} {_TOKENS} AS P{{of}}T ON P{{of}}T.level = P{{of}}A.level"
)


@dataclass(frozen=True, kw_only=True)
class Joined:
    """The tables of a query and the conditions that hold them together."""

    tables: str
    conditions: tuple[str, ...]
    values: tuple[object, ...]


def join(expressions: list[str], who: Identity) -> Joined:
    """Join the tables of these expressions, and leave out what somebody may not see."""
    aliases = _aliases(expressions)
    if "U" in aliases and "D" in aliases:
        aliases |= {"DA", "DT"}
    tables, links = _inner(aliases)
    hidden, values = _ticketed(aliases, who.ticket) if who.ticket else _hidden(aliases, who)
    return Joined(tables=tables, conditions=(*links, *hidden), values=values)


def join_accesses(expressions: list[str], who: Identity, *, once: bool) -> Joined:
    """Join as GenQuery2 does: each row as often as an access entry lets a member of a group in.

    An administrator gets a row for every entry and every member of its group, others one for each
    way that leads to them. With `once` (`distinct`, and nothing counted) that makes no difference,
    so the entries are joined only if a column of theirs is asked for. Tickets are not looked at.
    """
    aliases = _aliases(expressions)
    optional = [alias for alias in OPTIONAL if alias in aliases]
    asked = {prefix for prefix in ("PD", "PC") for alias in aliases if alias.startswith(prefix)}
    aliases = (aliases | {prefix[1] for prefix in asked}) - set(optional)
    tables, links = _inner(aliases)
    tables += "".join(
        f" LEFT JOIN {SOURCES[alias]} AS {alias} ON {ON[alias]}" for alias in optional
    )
    if once and not asked:
        hidden, values = _hidden(aliases, who)
        return Joined(tables=tables, conditions=(*links, *hidden), values=values)
    conditions: list[str] = []
    for alias in ("D", "C"):
        if alias in aliases:
            tables += _ACCESSES.format(kind="LEFT JOIN" if who.admin else "JOIN", of=alias)
            if not who.admin:
                conditions.append(f"P{alias}M.user_id = ? AND P{alias}A.level >= {int(Level.READ)}")
    values = (who.user_id,) * len(conditions)
    if "T" in aliases and not who.admin:
        conditions.append("T.user_id = ?")
        values += (who.user_id,)
    return Joined(tables=tables, conditions=(*links, *conditions), values=values)


def ordered(expression: str) -> str:
    """Write what an expression is compared and ordered by: texts by the catalogue's collation."""
    plain = expression.rpartition(".")[2] in NUMBERS
    return expression if plain else f"sort_key({expression})"


def _aliases(expressions: list[str]) -> set[str]:
    aliases = {expression.partition(".")[0] for expression in expressions}
    for alias in list(aliases):
        aliases |= set(NEEDS.get(alias, "").split())
    return aliases


def _inner(aliases: set[str]) -> tuple[str, list[str]]:
    tables = ", ".join(
        f"{table} AS {alias}" for alias, table in SOURCES.items() if alias in aliases
    )
    return tables, [on for left, right, on in LINKS if left in aliases and right in aliases]


def _hidden(aliases: set[str], who: Identity) -> tuple[list[str], tuple[object, ...]]:
    conditions: list[str] = []
    values: list[object] = []
    if who.admin:
        return [], ()
    for alias in ("D", "C"):
        if alias in aliases:
            conditions.append(
                f"EXISTS (SELECT 1 FROM access X WHERE X.object_id = {alias}.id AND"
                f" X.level >= {int(Level.READ)} AND X.user_id IN"
                " (SELECT group_id FROM members WHERE user_id = ?))"
            )
            values.append(who.user_id)
    if "T" in aliases:
        conditions.append("T.user_id = ?")
        values.append(who.user_id)
    return conditions, tuple(values)


def _ticketed(aliases: set[str], ticket: str) -> tuple[list[str], tuple[object, ...]]:
    tree = (
        "{column} IN (SELECT c.id FROM collections c, collections top, tickets t"
        " WHERE t.string = ? AND top.id = t.object_id AND"
        " (c.name = top.name OR (c.name > top.name || '/' AND c.name < top.name || '0')))"
    )
    if "D" in aliases:
        own = "D.id = (SELECT object_id FROM tickets WHERE string = ?)"
        return [f"({own} OR {tree.format(column='D.collection_id')})"], (ticket, ticket)
    if "C" in aliases:
        return [tree.format(column="C.id")], (ticket,)
    return [], ()
