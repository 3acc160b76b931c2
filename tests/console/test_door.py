import re
from typing import Any

from orchestrator.web.console import pages
from orchestrator.web.console.pages import own_path
from tests.web.conftest import NOON, PASSWORD, Make, Web
from workflows.outcome import Request

NO_VM = "00000000-0000-0000-0000-000000000000"
PATHS = ("/", "/overview", "/vfs", "/vfs/map", "/vms", "/runs", "/runs/ffffffff", "/runs/ffffffff/shown", "/runs/ffffffff/calls", "/live",
         f"/vms/{NO_VM}", f"/vms/{NO_VM}/assign", "/backup", "/backup/report", "/backup/points", "/backup/point", "/backup/files",
         "/backup/restore",
         "/backup/windows/w", "/backup/windows/w/kept", "/backup/policies/p/run", "/backup/verification", "/backup/verification/shown",
         "/backup/policies/p", "/backup/policies/p/remove", "/backup/windows/w/remove", "/backup/wizard",
         "/backup/wizard/which", "/backup/wizard/meant",
         "/backup/wizard/change", "/backup/boot", "/pools", "/pools/lab", "/pools/lab/sriov/fast/enable", "/plugins", "/audit",
         "/audit.csv", "/audit.json")  # fmt: skip
PIECES = ("/vms/listed", f"/vms/{NO_VM}/now", "/pools/stand")
ACTS = (
    "/pools/lab/sriov/fast/enable",
    "/runs/ffffffff/cancel",
    "/backup/policies/p/run",
    "/backup/policies/p/pause",
    "/backup/policies/p/remove",
    "/backup/windows/w/remove",
    "/backup/wizard",
    "/backup/restore",
    "/backup/files",
    "/backup/verify",
    "/backup/boot",
    "/vms/00000000-0000-0000-0000-000000000000/assign",
)


def signed_in(web: Web, scope: str = "operate") -> str:
    """Somebody signs in; what every form of theirs carries."""
    web.user(scope, scope)
    answer = web.client.post("/login", data={"name": scope, "password": PASSWORD}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', web.client.get("/runs").text)
    assert found is not None
    return found[1]


def a_run(web: Web) -> Any:
    from state import runs

    with web.store.write() as session:
        return runs.create(session, Request("reclaim-vfs", "lab", "vm:1", "VM <b>1</b>"), now=NOON)[0]


def is_cancelled(web: Web, run: Any) -> bool:
    from state import runs

    with web.store.read() as session:
        found = runs.get(session, run.id)
        assert found is not None
        return found.cancel_requested


def test_nothing_is_shown_to_nobody(web: Web) -> None:
    """Who is not signed in gets the door and nothing else; a piece of a page takes the whole page there."""
    for path in (*PATHS, *PIECES):
        answer = web.client.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"].partition("?")[0], answer.text) == (303, "/login", ""), path
        piece = web.client.get(path, headers={"HX-Request": "true"}, follow_redirects=False)
        assert (piece.status_code, piece.headers["hx-redirect"]) == (204, "/login"), path


def test_nobody_and_readers_do_nothing(web: Web) -> None:
    """Who is not signed in, and who may only look, changes nothing by a form, even with all that belongs into it."""
    nobody = [web.client.post(path, data={"csrf": "0" * 64}, follow_redirects=False) for path in ACTS]
    assert [answer.headers["location"] for answer in nobody] == ["/login"] * len(ACTS)
    csrf = signed_in(web, "read")
    for path in ACTS:
        answer = web.client.post(path, data={"csrf": csrf})
        assert (answer.status_code, "this needs the scope" in answer.text) == (403, True), path


def test_a_form_counts_only_from_our_own_page(web: Web) -> None:
    """Without the session's secret, with another's, from another site, or as something that is no form: nothing is done."""
    csrf, run = signed_in(web), a_run(web)
    path = f"/runs/{run.id}/cancel"
    refused = [
        web.client.post(path, data={"csrf": ""}),
        web.client.post(path, data={"csrf": csrf[::-1]}),
        web.client.post(path, data={"csrf": csrf}, headers={"Sec-Fetch-Site": "cross-site"}),
        web.client.post(path, data={"csrf": csrf}, headers={"Sec-Fetch-Site": "same-site"}),
        web.client.post(path, data={"csrf": csrf}, headers={"Origin": "https://elsewhere.example"}),
        web.client.post(path, data={"csrf": csrf}, headers={"Origin": "null"}),
    ]
    assert [answer.status_code for answer in refused] == [403] * 6
    assert web.client.post(path, json={"csrf": csrf}).status_code == 415
    assert web.client.get(path).status_code == 405
    assert not is_cancelled(web, run)
    answer = web.client.post(path, data={"csrf": csrf}, headers={"Origin": "http://localhost"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"], is_cancelled(web, run)) == (303, f"/runs/{run.id}", True)


def test_an_id_that_was_brought_along_is_never_taken(web: Web) -> None:
    """Session fixation: signing in gives a new id, whatever was brought; signing out ends it, also for who has copied the cookie."""
    web.client.cookies.set("vfo", "chosen-by-somebody-else")
    csrf = signed_in(web)
    (mine,) = {cookie.value for cookie in web.client.cookies.jar if cookie.value != "chosen-by-somebody-else"}
    assert len(mine or "") > 40
    web.client.post("/logout", data={"csrf": csrf}, follow_redirects=False)
    web.client.cookies.clear()
    stolen = web.client.get("/", headers={"Cookie": f"vfo={mine}"}, follow_redirects=False)
    assert stolen.headers["location"].startswith("/login")


def test_the_door_takes_the_cookie_of_a_session_that_is_over(web: Web) -> None:
    """A live page may notice that somebody signed out, and come to the door, before the browser has the answer to that."""
    assert "set-cookie" not in web.client.get("/login").headers
    answer = web.client.get("/login", headers={"Cookie": "vfo=over"})
    assert (answer.status_code, answer.headers["set-cookie"].startswith('vfo=""; ')) == (200, True)
    assert "Max-Age=0" in answer.headers["set-cookie"]


def test_the_door_wearies_of_wrong_passwords(web: Web) -> None:
    """After a few wrong ones nobody gets in by that name for a while, not even with the right one; the page says for how long."""
    web.user("ann", "admin")
    tries = [web.client.post("/login", data={"name": "ann", "password": f"guess {number}"}).status_code for number in range(6)]
    assert tries == [401] * 5 + [429]
    answer = web.client.post("/login", data={"name": "ann", "password": PASSWORD})
    assert (answer.status_code, int(answer.headers["retry-after"]) > 60, "Too many wrong passwords" in answer.text) == (429, True, True)


def test_after_signing_in_nobody_is_sent_elsewhere(web: Web) -> None:
    """Where to go after the door is a path of ours, whatever the address says."""
    for written in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "",
        "/a\nb",
        "/\t/evil.example",
        "runs",
    ):
        assert own_path(written) == "/", written
    assert own_path("/runs?status=all") == "/runs?status=all"
    web.user("ann", "read")
    answer = web.client.post("/login", data={"name": "ann", "password": PASSWORD, "next": "//evil.example"}, follow_redirects=False)
    assert answer.headers["location"] == "/"


def test_the_cookie_with_tls_is_for_this_site_alone(make_web: Make) -> None:
    """Behind https the cookie is Secure and bound to the host, besides what it always is."""
    web = make_web(more='url = "https://vfo.example.org"\n')
    web.user("ann", "read")
    answer = web.client.post("/login", data={"name": "ann", "password": PASSWORD}, follow_redirects=False)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-vfo=")
    assert all(word in cookie for word in ("; HttpOnly", "; Path=/", "; SameSite=lax", "; Secure"))
    assert "Domain" not in cookie


def test_pages_have_a_policy_and_keep_to_it(web: Web) -> None:
    """No page may run or load what is not ours, and no template has a script, style or handler of its own in it."""
    signed_in(web)
    policy = web.client.get("/runs").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for path in (pages.HERE / "templates").iterdir():
        text = path.read_text()
        assert not re.search(
            r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|hx-on|\|\s*safe|autoescape false|https?://(?!www\.w3\.org)", text
        ), path.name


def test_files_are_ours_by_name_alone(web: Web) -> None:
    """There is no way from the files of the pages to any other."""
    for path in ("/static/..%2fpages.py", "/static/%2e%2e/pages.py", "/static/nothing.css", "/static/"):
        assert web.client.get(path).status_code == 404, path


def test_who_is_first_is_told_how_to_make_a_user(web: Web) -> None:
    """Without any user the door says which command makes one; it says no such thing once there is one."""
    assert "vfo user add" in web.client.get("/login").text
    web.user()
    assert "vfo user add" not in web.client.get("/login").text


def test_runs_are_found_by_what_is_remembered_of_them(web: Web) -> None:
    """By a part of the title, whatever letters it has, by the beginning of the id, page after page; markup in a title is text."""
    signed_in(web)
    run = a_run(web)
    for path in (
        "/runs",
        "/runs?q=B%3E1",
        f"/runs?q={str(run.id)[:6]}",
        f"/runs/{str(run.id)[:8]}",
        "/runs?status=all&workflow=reclaim-vfs",
    ):
        assert "VM &lt;b&gt;1&lt;/b&gt;" in web.client.get(path).text, path
    for path in ("/runs?q=100%25", "/runs?pool=other", "/runs?status=done", "/runs?before=%00"):
        assert ("No run fits" in web.client.get(path).text) == ("before" not in path), path
    assert web.client.get("/runs/ffffffff").status_code == 404


def test_a_long_list_of_runs_has_pages(web: Web) -> None:
    """Fifty at a time, newest first; the next page begins where the one before ended."""
    from datetime import timedelta

    from state import runs

    signed_in(web)
    with web.store.write() as session:
        for number in range(120):
            runs.create(session, Request("reclaim-vfs", "lab", f"vm:{number}", f"VM n{number}."), now=NOON + timedelta(seconds=number))
    seen: list[str] = []
    path: str | None = "/runs"
    while path:
        text = web.client.get(path.replace("&amp;", "&")).text
        seen += re.findall(r"VM n\d+\.", text)
        found = re.search(r'rel="next" href="([^"]+)"', text)
        path = found[1] if found else None
    assert seen == [f"VM n{number}." for number in reversed(range(120))]


def test_a_policy_is_paused_by_a_form_alone(make_web: Make) -> None:
    """By whom and when is written down; names that the configuration does not have are answered by a page that says so."""
    from state import audit, backups

    web = make_web(more='[products.p]\nplugin = "xva"\ndirectory = "/nowhere"\n[policies.a]\nvms = { names = ["*"] }\nproduct = "p"\n')
    csrf = signed_in(web)
    for verb, paused in (("pause", {"a"}), ("resume", set())):
        assert web.client.post(f"/backup/policies/a/{verb}", data={"csrf": ""}).status_code == 403
        assert web.client.post(f"/backup/policies/a/{verb}", data={"csrf": csrf}, follow_redirects=False).headers["location"] == "/backup"
        with web.store.read() as session:
            assert set(backups.paused(session)) == paused
    with web.store.read() as session:
        acts = [(act.who, act.how, act.what) for act in audit.listed(session) if "policy" in act.what]
    assert acts == [("operate", "console", "resume-policy"), ("operate", "console", "pause-policy")]
    assert web.client.post("/backup/policies/a/delete", data={"csrf": csrf}).status_code == 404
    for path in ("/backup/policies/b/run", "/backup/windows/w", "/backup/restore?product=p&id=x", "/backup/restore?product=q&id=x"):
        assert web.client.get(path).status_code in (404, 409), path


def test_who_did_what_is_for_administrators(web: Web) -> None:
    """Others get no way there and no page; an administrator finds acts by who, how, what and outcome, refused ones too, page by page."""
    from state import audit
    from state.audit import Act

    csrf = signed_in(web)
    assert (web.client.get("/audit").status_code, "/audit" in web.client.get("/runs").text) == (403, False)
    run = a_run(web)
    web.client.post(f"/runs/{run.id}/cancel", data={"csrf": csrf})
    web.client.post(f"/runs/{run.id}/retry", data={"csrf": csrf})
    web.client.post("/logout", data={"csrf": csrf})
    signed_in(web, "admin")
    refused = web.client.get("/audit?outcome=refused&who=operate&how=console").text
    assert (refused.count("<code>retry</code>"), refused.count("<code>cancel</code>")) == (1, 0)
    assert web.client.get("/audit?what=cancel").text.count("<code>cancel</code>") == 1
    with web.store.write() as session:
        for number in range(60):
            audit.add(session, Act("cron", "api", "backup-release", f"VM n{number}"), now=NOON)
    first = web.client.get("/audit?what=backup-release").text
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following is not None
    second = web.client.get(following[1].replace("&amp;", "&")).text
    assert [page.count("<code>backup-release</code>") for page in (first, second)] == [50, 10]


def test_a_pool_that_does_not_answer_is_shown_as_such(web: Web) -> None:
    """The pages of pools, VFs and VMs say that it does not answer and why, instead of failing."""
    signed_in(web)
    for path in ("/pools", "/vfs", "/vms", "/"):
        answer = web.client.get(path)
        assert (answer.status_code, "not answer" in answer.text) == (200, True), path
