"""The routes that pages need, through a real Jupyter server, on a real Docker Engine."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from tornado.httpclient import HTTPResponse

from tests.handlers.http_client import Ask, json_of, run_script

pytestmark = pytest.mark.engine

TREE = """
mkdir -p /results/plots/deep /results/empty
printf 12345 > /results/number
printf ab > '/results/plots/<b>.txt'
ln -s number /results/link
printf x > /results/plots/deep/x
printf gone > /tmp/other; rm /etc/hostname 2>/dev/null
"""


def shown(answer: HTTPResponse) -> list[tuple[Any, ...]]:
    return [(row["name"], row["kind"], row["size"]) for row in json_of(answer)]


async def test_results_are_listed_a_folder_at_a_time(ask: Ask, nds: Any) -> None:
    job_id = (await run_script(ask, TREE))["job_id"]
    top = [
        ("empty", "dir", None),
        ("link", "link", None),
        ("number", "file", 5),
        ("plots", "dir", None),
    ]
    plots = [("<b>.txt", "file", 2), ("deep", "dir", None)]
    for removed in (False, True):
        if removed:
            # What retention keeps gives the same list as the container did.
            nds._runner._retention._most_kept = 0
            assert await nds._runner.run_cleanup() == 1
            assert json_of(await ask("GET", "/upload", job_id=job_id))["removed"]
        answer = await ask("GET", "/list_results", job_id=job_id)
        assert shown(answer) == top
        assert all(row["modified"] for row in json_of(answer))
        assert shown(await ask("GET", "/list_results", job_id=job_id, path="plots")) == plots
        assert shown(await ask("GET", "/list_results", job_id=job_id, path="/results/empty")) == []
        missing = await ask("GET", "/list_results", job_id=job_id, path="nothing")
        assert (missing.code, json_of(missing)["code"]) == (404, "path_not_found")
        page = await ask("GET", "/list_results", job_id=job_id, limit=3)
        assert shown(page) == top[:3]
        assert "cursor=3" in page.headers["Link"]
        assert shown(await ask("GET", "/list_results", job_id=job_id, cursor=3)) == top[3:]


async def test_difference_says_what_each_path_is(ask: Ask) -> None:
    job_id = (await run_script(ask, TREE))["job_id"]
    rows = {row["path"]: row for row in json_of(await ask("GET", "/diff", job_id=job_id))}
    assert rows["/results/plots/deep/x"] == {
        "path": "/results/plots/deep/x",
        "kind": "added",
        "type": "file",
        "size": 1,
    }
    assert (rows["/results/plots"]["type"], rows["/results/plots"]["size"]) == ("dir", None)


@pytest.mark.parametrize("how", ["query", "form", "json"])
async def test_selection_comes_as_one_archive(ask: Ask, jp_fetch: Any, how: str) -> None:
    job_id = (await run_script(ask, TREE))["job_id"]
    paths = ["number", "/results/plots", "/results/plots/deep/x", "/tmp/other"]
    if how == "query":
        answer = await ask("GET", "/archive", job_id=job_id, paths=json.dumps(paths))
    elif how == "json":
        answer = await ask("POST", "/archive", {"job_id": job_id, "paths": paths})
    else:
        body = urlencode({"job_id": job_id, "paths": "\n".join(paths), "_xsrf": "x"})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await jp_fetch("nds", "archive", method="POST", body=body, headers=kind)
    assert answer.code == 200, answer.body
    assert f"{job_id}-selection.zip" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}
    assert files == {
        "results/number": b"12345",
        "results/plots/<b>.txt": b"ab",
        "results/plots/deep/x": b"x",
        "tmp/other": b"gone",
    }
    tar = await ask("POST", "/archive", {"job_id": job_id, "paths": paths, "format": "tar.gz"})
    with tarfile.open(fileobj=io.BytesIO(tar.body)) as members:
        assert {m.name for m in members if m.isfile()} == set(files)


@pytest.mark.parametrize(
    ("fields", "code", "named"),
    [
        ({"paths": []}, 400, "paths"),
        ({}, 400, "paths"),
        ({"paths": ["number", "nothing"]}, 404, "/results/nothing"),
        ({"paths": ["number"], "format": "raw"}, 400, "format"),
        ({"paths": ["a\0b"]}, 400, "path"),
    ],
)
async def test_selection_that_can_not_be_had_is_refused(
    ask: Ask, fields: dict[str, Any], code: int, named: str
) -> None:
    job_id = (await run_script(ask, "printf 1 > /results/number"))["job_id"]
    answer = await ask("POST", "/archive", {"job_id": job_id, **fields})
    assert (answer.code, named in json_of(answer)["message"]) == (code, True)


async def test_script_comes_as_it_was_sent(ask: Ask) -> None:
    script = "echo '<b>é</b>'\n"
    job_id = (await run_script(ask, script))["job_id"]
    answer = await ask("GET", "/script", job_id=job_id[:6])
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.body.decode() == script


async def test_jobs_are_found_by_text_and_counted(ask: Ask) -> None:
    names = ("Fit", "refit", "plot")
    jobs = [await run_script(ask, "true", name=name, env={"KEY": "secret"}) for name in names]
    answer = await ask("GET", "/jobs", q="FIT", limit=1)
    assert [job["name"] for job in json_of(answer)] == ["refit"]
    assert answer.headers["X-Total-Count"] == "2"
    found = json_of(await ask("GET", "/jobs", q=jobs[2]["job_id"][3:12]))
    assert [job["name"] for job in found] == ["plot"]
    assert len(json_of(await ask("GET", "/jobs", q="nds/SHELL"))) == 3
    assert json_of(await ask("GET", "/jobs", q="100%")) == []
    assert found[0]["env"] == ["KEY"]
    assert "secret" not in answer.body.decode()


async def test_stranger_s_container_is_not_looked_into(
    ask: Ask, nds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await run_script(ask, "printf 1 > /results/number")
    monkeypatch.setattr(nds, "owner", "eve")
    for route in ("/list_results", "/archive", "/script", "/diff"):
        query = {"paths": "number"} if route == "/archive" else {}
        answer = await ask("GET", route, job_id=job["job_id"], **query)
        assert answer.code == 404


async def test_selection_goes_into_the_data_root(ask: Ask, tmp_path: Path) -> None:
    job_id = (await run_script(ask, TREE))["job_id"]
    asked = {"job_id": job_id, "paths": ["number", "/results/plots"], "to": "/runs/one"}
    answer = await ask("POST", "/deliver", asked)
    assert answer.code == 200, answer.body
    stored = tmp_path / "stored" / "runs" / "one"
    found = {str(p.relative_to(stored)): p.read_bytes() for p in stored.rglob("*") if p.is_file()}
    assert found == {"number": b"12345", "plots/<b>.txt": b"ab", "plots/deep/x": b"x"}
    assert {row["path"] for row in json_of(answer)} == {f"/runs/one/{name}" for name in found}
    again = await ask("POST", "/deliver", asked)
    assert (again.code, json_of(again)["code"]) == (409, "conflict")
    assert (await ask("POST", "/deliver", {**asked, "overwrite": True})).code == 200
    assert not list(stored.rglob(".nds-*"))


@pytest.mark.parametrize(
    ("fields", "code", "named"),
    [
        ({"to": "/a"}, 400, "paths"),
        ({"paths": ["number"]}, 400, "to"),
        ({"paths": ["number"], "to": "../../etc"}, 400, "to"),
        ({"paths": ["nothing"], "to": "/a"}, 404, "/results/nothing"),
        ({"paths": ["number", "/tmp/number"], "to": "/a"}, 400, "number"),
    ],
)
async def test_delivery_that_can_not_be_is_refused(
    ask: Ask, tmp_path: Path, fields: dict[str, Any], code: int, named: str
) -> None:
    script = "printf 1 > /results/number; printf 2 > /tmp/number"
    job_id = (await run_script(ask, script))["job_id"]
    answer = await ask("POST", "/deliver", {"job_id": job_id, **fields})
    assert (answer.code, named in json_of(answer)["message"]) == (code, True), answer.body
    assert not [p for p in (tmp_path / "stored").rglob("*") if p.is_file()]
