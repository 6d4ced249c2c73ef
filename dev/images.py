"""The images that demo, tests and benchmarks run, made without a registry where possible.

From a shell, with the engine that `DOCKER_HOST` and the rest of the environment give::

    python dev/images.py [NAME…]
"""

from __future__ import annotations

import fcntl
import io
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from dev.console import SetupError, run_logged, say
from dev.debian import codename, find_program, install, is_debian_root
from dev.engine import cache_folder, find_engine
from dev.engine_api import Endpoint, EngineAnswerError, ask

PYTHON_IMAGE = "nds/python:3.11"
SHELL_IMAGE = "nds/shell:test"
PIP_IMAGE = "nds/pip:3.11"
R_IMAGE = "nds/r:4"

USUAL = (PYTHON_IMAGE, SHELL_IMAGE)
PULLED = {
    PYTHON_IMAGE: "python:3.11-slim",
    SHELL_IMAGE: "busybox:stable",
    R_IMAGE: "r-base:4.3.2",
}
PACKAGES = {
    PYTHON_IMAGE: ("python3", ('--customize-hook=ln -s python3 "$1/usr/bin/python"',)),
    R_IMAGE: ("r-base-core", ()),
}
"""Of which Debian package an image is made, and with which options of mmdebstrap."""
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SLOW = 600.0


def ensure_images(endpoint: Endpoint, *names: str) -> None:
    """Make the images that the engine does not have yet; the usual ones when none is named."""
    for name in names or USUAL:
        ensure_image(endpoint, name)


def ensure_image(endpoint: Endpoint, name: str) -> None:
    """Make an image unless the engine has it.

    On Debian as root it is made of Debian packages, which needs no registry; elsewhere a public
    image is pulled and given the name.

    Raises
    ------
    SetupError
        The image is not there and could be neither made nor pulled.
    """
    if has_image(endpoint, name):
        return
    if not is_debian_root() and name in PULLED:
        _pull(endpoint, name)
        return
    makers: dict[str, Callable[[Endpoint], None]] = {
        PYTHON_IMAGE: _make_python,
        SHELL_IMAGE: _make_shell,
        PIP_IMAGE: _make_pip,
        R_IMAGE: _make_r,
    }
    try:
        makers[name](endpoint)
    except (OSError, EngineAnswerError) as exc:
        raise SetupError(f"The image {name} could not be made: {exc}") from exc


def has_image(endpoint: Endpoint, name: str) -> bool:
    """Ask the engine for an image, by one call."""
    try:
        ask(endpoint, "GET", f"/images/{quote(name)}/json")
    except EngineAnswerError:
        return False
    return True


def _make_python(endpoint: Endpoint) -> None:
    _import_rootfs(endpoint, PYTHON_IMAGE, "python3")


def _make_r(endpoint: Endpoint) -> None:
    _import_rootfs(endpoint, R_IMAGE, "R")


def _import_rootfs(endpoint: Endpoint, name: str, command: str) -> None:
    rootfs = ensure_rootfs(name)
    say(f"Importing {name} …")
    with rootfs.open("rb") as content:
        _import(endpoint, name, content, (f"ENV {PATH}", f'CMD ["{command}"]'))


def ensure_rootfs(name: str) -> Path:
    """Return the tar of an image's files, made of a Debian package with what it needs.

    It is kept in the cache; who comes while it is being made waits for it.
    """
    package, options = PACKAGES[name]
    folder = cache_folder() / "images"
    folder.mkdir(parents=True, exist_ok=True)
    rootfs = folder / f"{package.rstrip('0123456789')}-{codename()}.tar"
    with rootfs.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not rootfs.exists():
            _bootstrap(rootfs, name, f"--include={package}", *options)
    return rootfs


def _bootstrap(rootfs: Path, name: str, *options: str) -> None:
    if find_program("mmdebstrap") is None:
        install(["mmdebstrap"], rootfs.parent)
    unfinished = rootfs.with_name(f"unfinished-{rootfs.name}")
    command = [
        find_program("mmdebstrap") or "mmdebstrap",
        "--variant=essential",
        *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "man", "locale")),
        *options,
        codename(),
        str(unfinished),
        *_package_sources(),
    ]
    try:
        run_logged(
            f"Making {name} of Debian packages (a minute, once)",
            command,
            rootfs.with_suffix(".log"),
        )
        unfinished.rename(rootfs)
    finally:
        unfinished.unlink(missing_ok=True)


def _package_sources() -> list[str]:
    """Return the machine's own lists of Debian mirrors; none of them means Debian's default."""
    etc = Path("/etc/apt")
    lists = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    return [
        str(path)
        for path in lists
        if path.suffix in {".list", ".sources"}
        and path.is_file()
        and _names_debian(path.read_text(errors="replace"))
    ]


def _names_debian(text: str) -> bool:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    words = " ".join(lines).split()
    return codename() in words and "main" in words


def _make_shell(endpoint: Endpoint) -> None:
    """Import busybox with a link for every applet: an image of 2 MB, made at once."""
    busybox = find_program("busybox")
    if busybox is None or not _is_static(Path(busybox)):
        install(["busybox-static"], cache_folder() / "images")
        busybox = find_program("busybox") or "/bin/busybox"
    applets = subprocess.run(
        [busybox, "--list"], check=True, capture_output=True, text=True
    ).stdout.split()
    say(f"Importing {SHELL_IMAGE} …")
    content = io.BytesIO(_shell_tar(Path(busybox), applets))
    _import(endpoint, SHELL_IMAGE, content, (f"ENV {PATH}", 'CMD ["sh"]'))


def _is_static(program: Path) -> bool:
    return b"/lib64/ld-linux" not in program.read_bytes()[:4096]


def _shell_tar(busybox: Path, applets: list[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, mode, int(time.time())
            archive.addfile(entry)
        _add_file(archive, "bin/busybox", busybox.read_bytes(), 0o755)
        accounts = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n"
        _add_file(archive, "etc/passwd", accounts.encode(), 0o644)
        _add_file(archive, "etc/group", b"root:x:0:\nnogroup:x:65534:\n", 0o644)
        for applet in applets:
            if applet == "busybox":
                continue
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname, link.mode = tarfile.SYMTYPE, "busybox", 0o777
            archive.addfile(link)
    return buffer.getvalue()


def _add_file(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), mode, int(time.time())
    archive.addfile(entry, io.BytesIO(content))


def _make_pip(endpoint: Endpoint) -> None:
    """Build an image whose Python has the pip that this Python has; its source needs no network."""
    import pip

    ensure_image(endpoint, PYTHON_IMAGE)
    say(f"Building {PIP_IMAGE} …")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        recipe = f"FROM {PYTHON_IMAGE}\nCOPY pip /opt/pip/pip\nENV PYTHONPATH=/opt/pip\n"
        _add_file(archive, "Dockerfile", recipe.encode(), 0o644)
        archive.add(Path(pip.__file__).parent, "pip", filter=_plain)
    query = {"t": PIP_IMAGE, "rm": "1"}
    answer = ask(endpoint, "POST", "/build", query=query, body=buffer.getvalue(), timeout=SLOW)
    if not has_image(endpoint, PIP_IMAGE):
        said = answer.decode(errors="replace")
        raise SetupError(f"The engine at {endpoint.url} did not build {PIP_IMAGE}:\n{said}")


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if entry.name.endswith("__pycache__"):
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _import(endpoint: Endpoint, name: str, content: object, changes: tuple[str, ...]) -> None:
    repo, tag = name.rsplit(":", 1)
    query = [("fromSrc", "-"), ("repo", repo), ("tag", tag)]
    query += [("changes", change) for change in changes]
    ask(endpoint, "POST", "/images/create", query=query, body=content, timeout=SLOW)
    if not has_image(endpoint, name):
        raise SetupError(f"The engine at {endpoint.url} did not take the image {name}.")


def _pull(endpoint: Endpoint, name: str) -> None:
    public = PULLED[name]
    source, source_tag = public.rsplit(":", 1)
    repo, tag = name.rsplit(":", 1)
    say(f"Pulling {public} as {name} …")
    try:
        pulled = {"fromImage": source, "tag": source_tag}
        ask(endpoint, "POST", "/images/create", query=pulled, timeout=SLOW)
        ask(endpoint, "POST", f"/images/{quote(public)}/tag", query={"repo": repo, "tag": tag})
    except (OSError, EngineAnswerError) as exc:
        raise SetupError(
            f"The engine at {endpoint.url} cannot pull {public}: {exc}\n"
            f"Give it any image with Python 3 under the name: docker tag IMAGE {name}"
        ) from exc


def main(names: list[str]) -> int:
    """Run the command line."""
    endpoint = find_engine()
    if endpoint is None:
        say("No Docker Engine answers: use `python dev/engine.py run -- python dev/images.py`.")
        return 1
    ensure_images(endpoint, *names)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SetupError as error:
        say(f"\n{error}")
        sys.exit(1)
