import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from state import written as rows
from tests.console.conftest import HOSTILE, PATIENCE, VENDOR, People, Served

expect.set_options(timeout=PATIENCE)

AXE = (VENDOR / "axe-4.14.1.min.js").read_text()
SERIOUS = ("serious", "critical")


def vm_of(served: Served, name: str) -> str:
    """The uuid of the VM of that name."""
    with served.other_client() as client:
        (ref,) = client.call("VM.get_by_name_label", name)
        return str(client.call("VM.get_uuid", ref))


def cells_of(page: Page, vm: str) -> Any:
    """The VFs that the map shows as the VM's."""
    return page.locator(f'.hosts a.vf.used[data-vm="{vm}"]')


def consents(page: Page, section: str, when: str) -> None:
    """Asks for the plan of something, reads it, and consents."""
    form = page.get_by_role("region", name=section)
    form.get_by_label("When it may be shut down").select_option(when)
    form.get_by_role("button", name="Show the plan").click()
    expect(page.get_by_text("Nothing was changed yet.")).to_be_visible()
    page.get_by_role("button", name=re.compile("Do it")).click()


def test_somebody_signs_in_looks_and_signs_out(people: People, served: Served) -> None:
    """A wrong password is refused in words; the right one leads to where they wanted to go; after signing out nothing is shown any more."""
    person = people.nobody()
    page = person.opens("/runs?status=all")
    expect(page).to_have_url(re.compile(r"/login\?next="))
    page.get_by_label("Name").fill("operate")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("The name or the password is wrong.")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{served.url}/runs?status=all")
    (cookie,) = person.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{served.url}/login")
    assert person.context.cookies() == []
    person.said.clear()  # the browser notes the refused password


def test_a_vf_changes_on_an_open_map_without_a_reload(people: People, served: Served) -> None:
    """A VM gives its VF back and gets one again, by plans that are consented to: an open map and the run's page follow by themselves."""
    person, vm = people.somebody("operate"), vm_of(served, "web-01")
    watched = person.opens("/vfs")
    watched.evaluate("document.body.setAttribute('data-stays', 'yes')")
    expect(cells_of(watched, vm)).to_have_count(1)
    page = person.opens(f"/vms/{vm}")
    consents(page, "Take its VFs from it", "now")
    expect(page).to_have_url(re.compile("/runs/"))
    expect(page.locator("#run .card-head .tag").first).to_have_text("done")
    expect(cells_of(watched, vm)).to_have_count(0)
    page.goto(f"{served.url}/vms/{vm}")
    consents(page, "Give it a VF", "now")
    expect(page.locator("#run .card-head .tag").first).to_have_text("done")
    expect(page.locator(".steps .done")).to_have_count(10)
    expect(page.locator(".diagram .box.done")).to_have_count(10)
    page.locator("summary", has_text="XenAPI call").first.click()
    expect(page.locator("details[open] .calls .call").first).to_be_visible()
    with page.expect_response(re.compile("/shown$")):
        page.evaluate("htmx.trigger('#run', 'sse:runs')")
    expect(page.locator("#run.htmx-request, #run .htmx-added, #run.htmx-settling")).to_have_count(0)
    expect(page.locator("details[open] .calls .call").first).to_be_visible()
    expect(page.get_by_role("img", name="assign-vf of")).to_be_visible()
    expect(cells_of(watched, vm)).to_have_count(1)
    expect(watched.locator("body")).to_have_attribute("data-stays", "yes")
    cells_of(watched, vm).focus()
    expect(cells_of(watched, vm)).to_have_class(re.compile(r"\blit\b"))


def test_a_reboot_is_approved_by_who_may(people: People, served: Served) -> None:
    """A run that waits for consent is what the overview asks for; who may only look has no button; approved, it goes on to its end."""
    person = people.somebody("operate")
    asked = person.opens("/pools")
    asked.get_by_role("link", name="Plan to enable fast").click()
    asked.get_by_role("button", name="Do it: enable it").click()
    expect(asked).to_have_url(re.compile("/runs/"))
    overview = person.opens("/")
    overview.get_by_role("link", name=re.compile("Look and approve")).click()
    reader = people.somebody("read").opens(overview.url.partition(served.url)[2].partition("#")[0])
    expect(reader.get_by_text("need the scope “operate”")).to_be_visible()
    expect(reader.get_by_role("button", name="Approve")).to_have_count(0)
    overview.get_by_role("button", name="Approve").click()
    expect(overview.get_by_text("Approved by", exact=True)).to_be_visible()
    expect(overview.locator("#run .card-head .tag").first).to_have_text("done")
    expect(reader.locator("#run .card-head .tag").first).to_have_text("done")
    fresh = person.opens("/vfs")
    expect(fresh.locator(".port")).to_have_count(4)


PAGES = (
    "/",
    "/vfs",
    "/vfs?over=1d",
    "/backup",
    "/backup/report",
    "/backup/windows/dark",
    "/backup/policies/databases",
    "/backup/policies/kept",
    "/backup/policies/kept/remove",
    "/backup/policies/lost",
    "/backup/windows/late",
    "/backup/windows/late/remove",
    "/backup/wizard/change?name=kept",
    "/backup/wizard/which?names=web-*&name=web",
    "/backup/wizard/where",
    "/backup/wizard/where?names=web-*&name=web",
    "/backup/wizard/when?names=web-*&name=web&product=shelf&window=%2B",
    "/backup/wizard/summary?names=web-*&name=web&product=shelf&window=dark",
    "/backup/wizard/summary?names=web-*&name=web&product=shelf&window=%2B&duration=x",
    "/backup/points",
    "/backup/policies/databases/run",
    "/pools",
    "/pools/lab",
    "/pools/lab/sriov/fast/enable",
    "/plugins",
    "/audit",
    "/people",
    "/people/users/read",
    "/people/tokens/probe",
    "/account",
    "/vms",
    "/vms?q=no-such-vm",
    "/runs",
    "/runs?status=all",
    "/runs?q=nothing",
)


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)], ids=["desktop light", "phone dark"])
def test_every_page_is_for_everybody(people: People, served: Served, width: int, dark: bool) -> None:
    """No page has a serious fault by axe, or is wider than the screen; where one is stands in sight; the way past the menu is first."""
    person, vm = people.somebody("admin", width, dark=dark), vm_of(served, "db-01")
    served.typed("release", "db-01", "--when", "next-halt")
    write_down(served)
    (run, *_) = json.loads(served.typed("run", _a_run(served), "--json")).values()
    door = people.nobody(width, dark=dark).opens("/login")
    assert against(door) == []
    page = person.opens("/")
    plan = f"/vms/{vm}/prepare?mode=auto"
    for path in (*PAGES, f"/vms/{vm}", plan, f"/runs/{run}", f"/runs/{run}/calls", "/runs/ffffffff"):
        page.goto(served.url + path, wait_until="load")
        expect(page.locator("h1")).to_be_visible()
        assert against(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.goto(f"{served.url}/people", wait_until="load")
    expect(page.locator("nav [aria-current=page]")).to_be_in_viewport()
    made = page.get_by_role("region", name="Make a token")
    made.get_by_label("Name").fill(f"for-{width}")
    made.get_by_role("button", name="Make the token").click()
    expect(page.get_by_text(re.compile("vfo_"))).to_be_visible()
    assert against(page) == []
    page.goto(f"{served.url}/vfs", wait_until="load")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    person.said.clear()  # the page that says that there is no such run is a 404


def write_down(served: Served) -> None:
    """A window and a policy in the rows, another policy whose product is gone, and a token."""
    tables = {"window": ("late", 'schedule = "0 3 * * *"'), "policy": ("kept", 'vms = { names = ["mail-*"] }\nproduct = "shelf"')}
    for kind, (name, table) in tables.items():
        (served.lab.folder / "table.toml").write_text(table + ('\nduration = "1h"' if kind == "window" else ""))
        served.typed(kind, "write", name, "--file", "table.toml")
    lost = {"vms": {"names": ["mail-*"]}, "product": "sold"}
    with served.lab.store.write() as session:
        now = datetime.now(UTC)
        rows.take_turn(session, by="tests", now=now)
        rows.put(session, rows.WrittenRow(kind="policy", name="lost", settings=lost, revision=uuid4(), by="tests", at=now))
    if not json.loads(served.typed("token", "list", "--json")):
        served.typed("token", "create", "probe", "--scope", "read")


def _a_run(served: Served) -> str:
    return str(json.loads(served.typed("runs", "--all", "--json"))[0]["id"])


def against(page: Page) -> list[str]:
    """What axe has against the page, if it is serious. It is evaluated by the browser's own tools, which no policy of a page binds."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


def test_a_policy_is_paused_and_run_and_a_vm_comes_back(people: People, served: Served) -> None:
    """One policy is paused and goes on, another saves its VMs now; of a restore point a VM is made beside the first one."""
    person = people.somebody("operate")
    page = person.opens("/backup")
    page.get_by_role("button", name="Pause policy mail").click()
    expect(page.get_by_text("paused by operate")).to_be_visible()
    page.get_by_role("button", name="Resume policy mail").click()
    expect(page.get_by_text("paused by operate")).to_have_count(0)
    page.get_by_role("link", name="Run now: policy databases").click()
    page.get_by_role("button", name=re.compile("Do it")).click()
    expect(page.locator("#run .card-head .tag").first).to_have_text("done")
    page.goto(f"{served.url}/backup/points?vm=db-01")
    page.get_by_role("link", name=re.compile("Restore db-01")).first.click()
    expect(page.get_by_text("It would not be done:")).to_be_visible()
    assert against(page) == []
    page.get_by_label("Name of the new VM").fill("db-01 again")
    page.get_by_label("MACs of its own").check()
    page.get_by_role("button", name="Show the plan").click()
    page.get_by_role("button", name=re.compile("Do it")).click()
    expect(page.locator("#run .card-head .tag").first).to_have_text("done")
    assert vm_of(served, "db-01 again") != vm_of(served, "db-01")


def test_four_steps_lead_to_a_policy_that_runs(people: People, served: Served) -> None:
    """Whom it means is seen while it is written; the plan comes before the consent; after that it is written, and saves its VM."""
    person = people.somebody("admin")
    page = person.opens("/backup")
    page.get_by_role("link", name="New policy").click()
    page.get_by_label("Name of the policy").fill("cache")
    page.get_by_label("Names", exact=True).fill("cache-0*")
    expect(page.locator("#meant")).to_contain_text("cache-01")
    page.get_by_role("button", name="Next: where to").click()
    page.get_by_label("shelf").check()
    page.get_by_role("button", name="Next: how and when").click()
    page.get_by_label("online").check()
    page.get_by_label("A new window").check()
    page.get_by_label("Name of the window").fill("evening")
    page.get_by_role("button", name="Next: summary").click()
    expect(page.get_by_role("region", name="Whom it saves now, and how")).to_contain_text("cache-01")
    page.get_by_role("button", name="Write it, and run it now").click()
    expect(page.locator("#run .card-head .tag").first).to_have_text("done")
    page.goto(f"{served.url}/backup/policies/cache")
    expect(page.get_by_role("region", name="Its last backups")).to_contain_text("saved")
    page.get_by_role("link", name="evening").click()
    expect(page.get_by_role("heading", name="Window evening")).to_be_visible()


def test_a_name_that_is_a_script_is_text(people: People, served: Served) -> None:
    """A VM may have any name: wherever it is shown it is read, and never done."""
    person, vm = people.somebody("operate"), vm_of(served, HOSTILE)
    page = person.opens("/vms?q=script")
    expect(page.get_by_role("link", name=HOSTILE)).to_be_visible()
    wizard = "/backup/wizard/which?" + urlencode({"names": "*script*", "tags": HOSTILE, "name": HOSTILE})
    page = people.somebody("admin").opens(wizard)
    expect(page.locator("#meant").get_by_text(HOSTILE)).to_be_visible()
    expect(page.get_by_label(HOSTILE)).to_be_checked()
    for path in (f"/vms/{vm}", f"/vms/{vm}/prepare?mode=auto"):
        page.goto(served.url + path, wait_until="load")
        expect(page.get_by_text(HOSTILE).first).to_be_visible()
        assert "owned" not in page.title().replace(HOSTILE, "")
        assert page.locator("main b").count() == 0


def test_open_pages_of_a_vm_follow_it_and_leave_people_alone(people: People, served: Served) -> None:
    """A VM that somebody halts elsewhere is halted on its page and in the list; what a person typed, chose and focused stays."""
    person, vm = people.somebody("operate"), vm_of(served, "web-02")
    page, listed, pools = person.opens(f"/vms/{vm}"), person.opens("/vms?q=web"), person.opens("/pools")
    for one in (page, listed, pools):
        expect(one.locator(".live")).to_have_text("live")
    page.get_by_label("How").select_option("online")
    listed.get_by_label("Find").fill("typed")
    link = listed.get_by_role("link", name="web-02")
    link.focus()
    with served.other_client() as client:
        (ref,) = client.call("VM.get_by_name_label", "web-02")
        client.call("VM.clean_shutdown", ref)
    expect(page.locator("#vm-state")).to_have_text("Halted")
    expect(listed.get_by_role("row", name="web-02")).to_contain_text("Halted")
    expect(link).to_be_focused()
    expect(listed.get_by_label("Find")).to_have_value("typed")
    expect(page.get_by_label("How")).to_have_value("online")
    with served.other_client() as client:
        client.call("VM.start", ref, False, False)
    expect(page.locator("#vm-state")).to_have_text("Running")
