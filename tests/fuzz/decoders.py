"""Fuzzing, guided by coverage: any bytes decode or raise a PanelError, in bounded time and memory.

`make fuzz DURATION=60` runs it. What it finds it writes to .fuzz/ and replays at the next run.
"""

import sys
from pathlib import Path

CORPUS = Path(".fuzz/corpus")
SECONDS_AN_INPUT, MEGABYTES = 5, 1024
LONGEST = 4096  # bytes; what is only long is tried in tests/unit/test_protocol_nasty.py
SEEDS = (
    '{"1": {"charge": "0.27819", "start_count": "3572", "status": "Partial", "remains": "157",'
    ' "currency": "USD"}, "2": {"error": "Incorrect order ID"}}',
    '{"status": "Completed", "order": 33, "remains": null, "start_counter": 1.5e3}',
    '[{"order": 1, "refill": 2}, {"order": 2, "refill": {"error": "Incorrect order ID"}}]',
    '[{"refill": 1, "status": "In progess"}, {"refill": 2, "status": {"error": "x"}}]',
    '[{"order": 9, "cancel": {"error": "Incorrect order ID"}}, {"order": 2, "cancel": 1}]',
    '{"data": {"services": [{"service": 1, "name": "Followers", "type": "Default", "category":'
    ' "A", "rate": "0.90", "min": "50", "max": "10000", "refill": true, "cancel": "0"}]}}',
    '{"balance": "100.84292", "currency": "USD"}',
    '{"order": 23501, "success": false, "message": {"text": ["Too many requests"]}}',
    '{"error": "neworder.error.not_enough_funds", "retry_after": 1e400}',
    '{"1": {"charge": "$1.234,50", "start_count": "12,345", "status": "Partial",'
    ' "remains": "1.000"}}',
    '<br /><b>Warning</b>: x in <b>y</b><br />{"orders": [{"order": "1", "status": "Partial"}]}',
    '{"success": "Your order is going to be cancelled soon", "data": {"refill": {"id": "bVJizQ"}}}',
    "<html><title>Just a moment...</title></html>",
    '\ufeff{"order_id": "1", "status": "\\ud83d\u0130n progress", "errors": [[["x"]]]}',
)


def main(seconds: int) -> None:
    """Fuzz for so long."""
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed, and has no wheel for every Python: nothing was fuzzed")
    with atheris.instrument_imports(include=["watcher.panels.protocol"]):
        from tests.support.decoders import DECODERS
    from watcher.errors import PanelError

    def try_all(body: bytes) -> None:
        for decode in DECODERS.values():
            try:
                decode(body)
            except PanelError as error:
                if not 0 < len(str(error)) < 400:
                    raise AssertionError("an error's message of odd length") from error

    _sow()
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={SECONDS_AN_INPUT}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-max_len={LONGEST}",
        "-artifact_prefix=.fuzz/",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(CORPUS)], try_all)
    atheris.Fuzz()


def _sow() -> None:
    CORPUS.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS):
        (CORPUS / f"seed-{number}").write_text(seed, "utf-8")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
