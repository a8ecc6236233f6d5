"""What a message to people says: short, plain, and the whole of it for programs."""

import json

from watcher.alerts import REFUSES, Alert, AlertKind, AlertNotice, AlertStage
from watcher.notify.messages import message_for, trial

LOW = Alert(AlertKind.BALANCE_LOW, "smm", "4.5 USD left")
HOUR = 3600.0


def a_notice(
    alert: Alert = LOW, stage: AlertStage = AlertStage.BEGUN, lasted: float = 0.0
) -> AlertNotice:
    return AlertNotice(alert, stage, 1_800_000_000.0 + lasted, 1_800_000_000.0)


def test_each_stage_has_its_words():
    def text(stage: AlertStage, lasted: float) -> str:
        return message_for([a_notice(LOW, stage, lasted)], 0.0).text

    assert text(AlertStage.BEGUN, 0.0) == "balance low at smm: 4.5 USD left"
    assert text(AlertStage.LASTS, 24 * HOUR) == "balance low at smm, still (24 h): 4.5 USD left"
    assert text(AlertStage.OVER, 600.0) == "balance low at smm, over (10 min)"


def test_several_are_one_message_with_all_of_them_for_programs():
    paused = Alert(AlertKind.RULE_PAUSED, "", "rule 'r' pauses: it fails", "r")
    message = message_for([a_notice(), a_notice(paused)], 1_800_000_000.0)
    assert message.title == "watcher: balance low at smm, and 1 more"
    assert message.text.splitlines() == [
        "balance low at smm: 4.5 USD left",
        "rule paused: rule 'r' pauses: it fails",
    ]
    document = json.loads(message.body)
    assert document["timestamp"] == "2027-01-15T08:00:00Z"
    assert [n["event"] for n in document["notices"]] == ["balance_low", "rule_paused"]


def test_many_of_a_kind_are_one_line_with_their_number():
    refused = [
        Alert(AlertKind.REFILL_REJECTED, "smm", f"no refill for {n}", str(n)) for n in range(57)
    ]
    notices = [a_notice(one, AlertStage.ONCE) for one in refused]
    message = message_for(notices, 0.0)
    assert message.title == "watcher: refill rejected at smm, 57 times"
    assert message.text == ("refill rejected at smm, 57 times: no refill for 0; no refill for 1; …")
    assert len(json.loads(message.body)["notices"]) == 57
    mixed = message_for([*notices[:30], a_notice(), *notices[30:]], 0.0)
    assert mixed.title == "watcher: refill rejected at smm, 57 times, and 1 more"
    assert mixed.text.splitlines()[1:] == ["balance low at smm: 4.5 USD left"]
    few = message_for(notices[:3], 0.0)
    assert few.title == "watcher: refill rejected at smm, and 2 more"
    assert len(few.text.splitlines()) == 3


def test_a_panel_that_refuses_everything_is_not_called_down():
    refuses = Alert(AlertKind.PANEL_DOWN, "smm", "it refuses everything: no", REFUSES)
    message = message_for([a_notice(refuses)], 0.0)
    assert message.text == "panel refusing at smm: it refuses everything: no"
    over = message_for([a_notice(refuses, AlertStage.OVER, 600.0)], 0.0)
    assert over.text == "panel refusing at smm, over (10 min)"


def test_very_many_are_cut_short_for_people_only():
    alerts = [Alert(AlertKind.RULE_PAUSED, "smm", "x" * 5000, str(n)) for n in range(200)]
    message = message_for([a_notice(alert) for alert in alerts], 0.0)
    assert len(message.text) < 1600
    assert message.text.splitlines()[-1] == "and 195 more"
    assert len(json.loads(message.body)["notices"]) == 200


def test_a_panels_words_forge_no_line():
    odd = Alert(AlertKind.REFILL_REJECTED, "smm", "no\r\nbalance low at smm:\x0b 0 USD left", "7")
    (line,) = message_for([a_notice(odd, AlertStage.ONCE)], 0.0).text.splitlines()
    assert line == "refill rejected at smm: no balance low at smm: 0 USD left"


def test_a_trial_says_that_it_is_one():
    message = trial("phone", 0.0)
    assert json.loads(message.body)["type"] == "test"
    assert "phone" in message.text
