from __future__ import annotations

import httpx
import pytest
from build import a_hash
from fake_http import Script, a_row, a_transport, an_error, ok

from monitor.domain import Workspace
from monitor.errors import BadPayload, NotFound, Unauthorized
from monitor.openrouter.keys_api import KeysApi


def api(app) -> KeysApi:
    return KeysApi(a_transport(app))


def workspaces_app(n: int, *, page_size: int = 100, counted: bool = True):
    """Serves `n` workspaces by offset and limit, at most `page_size` at once."""
    rows = [{"id": f"w{no}", "name": f"Team {no}"} for no in range(n)]

    def app(request: httpx.Request) -> httpx.Response:
        offset, limit = int(request.url.params["offset"]), int(request.url.params["limit"])
        assert 1 <= limit <= 100
        more = {"total_count": n} if counted else {}
        return ok(rows[offset : offset + min(limit, page_size)], **more)

    return app


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("n", [0, 1, 99, 100, 101, 250])
async def test_all_workspaces_are_read(n, counted):
    got = await api(workspaces_app(n, counted=counted)).workspaces()

    assert [workspace.workspace_id for workspace in got] == [f"w{no}" for no in range(n)]


async def test_a_smaller_page_of_workspaces_than_asked_for_loses_none():
    assert len(await api(workspaces_app(60, page_size=25)).workspaces()) == 60


async def test_a_server_that_repeats_its_page_of_workspaces_cannot_hold_us():
    app = Script(ok([{"id": "w1", "name": "Prod"}], total_count=1))

    assert await api(app).workspaces() == (Workspace("w1", "Prod"),)
    assert len(app.requests) == 1


async def test_fewer_workspaces_than_the_server_counts_are_refused():
    app = Script(ok([{"id": "w1", "name": "Prod"}], total_count=3))

    with pytest.raises(BadPayload, match="1 of 3 workspaces"):
        await api(app).workspaces()


async def test_keys_are_listed_with_the_disabled_ones_of_one_workspace():
    app = Script(ok([a_row(1, disabled=True)]))

    got = await api(app).keys_page("ws-1", 80)

    assert dict(app.requests[0].url.params) == {"include_disabled": "true", "offset": "80", "workspace_id": "ws-1"}
    assert got.keys[0].settings.is_disabled


async def test_without_a_workspace_the_default_one_is_listed():
    app = Script(ok([]))

    await api(app).keys_page(None, 0)

    assert "workspace_id" not in app.requests[0].url.params


async def test_a_key_is_read_by_its_hash():
    app = Script(ok(a_row(7)))

    assert (await api(app).key(a_hash(7))).key_hash == a_hash(7)
    assert app.requests[0].url.path == f"/api/v1/keys/{a_hash(7)}"


async def test_an_answer_about_another_key_is_refused():
    with pytest.raises(BadPayload, match="the answer is about"):
        await api(Script(ok(a_row(8)))).key(a_hash(7))


async def test_a_key_that_is_gone_is_not_found():
    with pytest.raises(NotFound):
        await api(Script(an_error(404, "Resource not found"))).key(a_hash(7))


async def test_an_inference_key_is_told_from_a_management_key():
    app = Script(ok({"label": "sk-or-v1-abc...xyz", "is_management_key": False}))

    assert not (await api(app).own_key()).is_management_key


async def test_credits_need_a_management_key():
    with pytest.raises(Unauthorized):
        await api(Script(an_error(403, "Only management keys can perform this operation"))).credits()
