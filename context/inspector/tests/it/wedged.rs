//! Checks that one command finds the task that has blocked the only worker.

use crate::support::Service;

#[test]
fn the_stuck_task_its_causes_and_its_account_are_found_in_one_command() {
    let service = Service::start(&["wedged"]);
    let said = service.run(&["tree"]);
    said.has(0, &["▶ #", "task ship", "accountId=42", "flow POST /orders"]);
    // What came later is ready, and nobody runs it.
    assert!(said.out.lines().any(|line| line.contains('◆')), "{}", said.out);
    let said = service.run(&["lineage", "--filter", "state:running field:accountId=42"]);
    said.has(0, &["▶ #", "task ship", "triggered by", "flow POST /orders"]);
    // It was stuck before anybody looked, and still it is known who waits for whom.
    let said = service.run(&["tree", "--edge", "waiting-on"]);
    said.has(0, &["to end"]);
    service.run(&["ps", "--filter", "waits:task"]).has(0, &["to end"]);
}

#[test]
fn what_has_long_been_running_shows_in_what_is_busy() {
    let service = Service::start(&["wedged"]);
    // The poll began before anybody counted, so its time is not known; that it runs is.
    service.run(&["ps", "--filter", "state:running kind:task"]).has(0, &["ship"]);
}
