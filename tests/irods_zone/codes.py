"""Numbers of the protocol: calls, statuses, access levels, replica statuses, open flags."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Api(IntEnum):
    """The calls that the server answers."""

    CREATE = 601
    OPEN = 602
    PUT = 606
    UNLINK = 615
    MODIFY_REPLICA = 622
    RENAME = 627
    CHECKSUM = 629
    REGISTER = 630
    TRIM = 632
    STAT = 633
    QUERY_SPECIAL = 645
    TRUNCATE = 652
    CLOSE_COLLECTION = 661
    CLOSE = 673
    LSEEK = 674
    READ = 675
    WRITE = 676
    OPEN_COLLECTION = 678
    REMOVE_COLLECTION = 679
    MODIFY_COLLECTION = 680
    CREATE_COLLECTION = 681
    REPLICATE = 695
    COPY = 696
    ADMIN = 701
    GENQUERY1 = 702
    AUTH_REQUEST = 703
    AUTH_RESPONSE = 704
    METADATA = 706
    ACCESS = 707
    TEMPORARY_PASSWORD = 709
    READ_COLLECTION = 713
    USER_ADMIN = 714
    TICKET = 723
    PAM_AUTH = 725
    TRUNCATE_REPLICA = 802
    AUTH_PLUGIN = 1201
    RESOURCE_FOR_OPERATION = 10220
    GENQUERY2 = 10221
    DESCRIPTOR_INFO = 20000
    ATOMIC_METADATA = 20002
    CLOSE_REPLICA = 20004
    TOUCH = 20007
    AUTHENTICATE = 110000


class Status(IntEnum):
    """Statuses of a reply; all are negative but `OK`."""

    OK = 0
    UNKNOWN_CALL = -12000
    NOT_AUTHENTICATED = -13000
    NO_API_PRIVILEGE = -13000
    DESCRIPTOR_OUT_OF_RANGE = -19000
    LENGTH_DIFFERS = -27000
    INVALID_ZONE = -26000
    INVALID_FILE_PATH = -31000
    NO_PROXY_PRIVILEGE = -39000
    COPY_ALREADY_IN_RESOURCE = -46000
    NO_SUCH_RESOURCE = -78000
    RESOURCE_DOWN = -105000
    QUOTA_EXCEEDED = -110000
    PATH_IN_USE = -120000
    INVALID_INPUT = -130000
    INTERNAL_ERROR = -154000
    NO_SUCH_REPLICA = -164000
    NO_GOOD_REPLICA = -166000
    LIBRARY_ERROR = -167000
    REPLICA_INACCESSIBLE = -168000
    PATH_TOO_LONG = -308000
    NO_SUCH_FILE = -310000
    OVERWRITE_WITHOUT_FORCE = -312000
    CHECKSUM_MISMATCH = -314000
    PATH_ERROR = -317000
    SAME_SOURCE_AND_TARGET = -339000
    NO_SUCH_PATH = -358000
    SIZE_DIFFERS = -401000
    INCOMPATIBLE_PARAMETERS = -402000
    LOCKED_OBJECT = -406000
    VERIFICATION_RESULTS = -407000
    OPEN_ERROR = -510000
    CREATE_ERROR = -511000
    READ_ERROR = -512000
    WRITE_ERROR = -513000
    STAT_ERROR = -516000
    MAKE_FOLDER_ERROR = -520000
    RENAME_ERROR = -528000
    SQL_ERROR = -806000
    ROW_TOO_LONG = -807000
    NO_ROWS = -808000
    ALREADY_EXISTS = -809000
    UNKNOWN_COLLECTION = -814000
    INVALID_ARGUMENT = -816000
    UNKNOWN_FILE = -817000
    NO_PERMISSION = -818000
    NO_INFO = -819000
    COLLECTION_NOT_EMPTY = -821000
    NO_DATABASE = -824000
    INVALID_AUTHENTICATION = -826000
    INVALID_USER = -827000
    INVALID_GROUP = -829000
    INSUFFICIENT_PRIVILEGE = -830000
    INVALID_RESOURCE = -831000
    INVALID_CLIENT_USER = -832000
    NAME_IS_COLLECTION = -833000
    NAME_IS_OBJECT = -834000
    RECURSIVE_MOVE = -837000
    PASSWORD_EXPIRED = -840000
    TOO_MANY_STATEMENTS = -860000
    NO_CHECKSUM = -862000
    TICKET_INVALID = -890000
    TICKET_EXPIRED = -891000
    TICKET_USES_EXCEEDED = -892000
    TICKET_USER_EXCLUDED = -893000
    TICKET_HOST_EXCLUDED = -894000
    TICKET_GROUP_EXCLUDED = -895000
    TICKET_WRITES_EXCEEDED = -896000
    TICKET_BYTES_EXCEEDED = -897000
    PAM_FAILED = -993000
    PAM_INVALID_TTL = -994000
    HIERARCHY_ERROR = -1803000
    DIRECT_CHILD_ACCESS = -1816000


class Level(IntEnum):
    """What somebody may do with an object or a collection."""

    NULL = 1000
    READ_METADATA = 1040
    READ = 1050
    CREATE_METADATA = 1070
    MODIFY_METADATA = 1080
    DELETE_METADATA = 1090
    CREATE = 1110
    WRITE = 1120
    DELETE = 1130
    OWN = 1200


LEVEL_NAMES = {
    Level.NULL: "null",
    Level.READ_METADATA: "read_metadata",
    Level.READ: "read_object",
    Level.CREATE_METADATA: "create_metadata",
    Level.MODIFY_METADATA: "modify_metadata",
    Level.DELETE_METADATA: "delete_metadata",
    Level.CREATE: "create_object",
    Level.WRITE: "modify_object",
    Level.DELETE: "delete_object",
    Level.OWN: "own",
}


class Replica(IntEnum):
    """Statuses of a replica."""

    STALE = 0
    GOOD = 1
    INTERMEDIATE = 2
    READ_LOCKED = 3
    WRITE_LOCKED = 4


class Flag(IntFlag):
    """How an object is opened; the numbers are Linux's, whatever the server runs on."""

    READ = 0
    WRITE = 1
    READ_WRITE = 2
    CREATE = 0o100
    EXCLUSIVE = 0o200
    TRUNCATE = 0o1000
    APPEND = 0o2000


class Between(IntEnum):
    """Places between two steps of a call, at which others may go on; faults strike there too."""

    FOUND_AND_RENAMED = -1
    COLLECTIONS_FOUND_AND_MADE = -2


class CallError(Exception):
    """A call that ends with a status other than success."""

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(status, message)
        self.status = int(status)
        self.message = message
