"""A simulated phone to try things on, until Ctrl-C: ``python -m tests.support.phone_simulator --model samsung``."""

import argparse
import time

from tests.support.phone_simulator.agent import PHONE_STATE_AGENT, PYTHON_AGENT
from tests.support.phone_simulator.models import MODELS
from tests.support.phone_simulator.phone import Phone


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.phone_simulator", description=__doc__)
    parser.add_argument("--model", choices=MODELS, default="pixel")
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1; a free one by default")
    parser.add_argument("--thermal-status", type=int, choices=range(7), default=0)
    parser.add_argument("--battery", type=int, default=81, metavar="PERCENT")
    parser.add_argument(
        "--agent", choices=("python", "phone-state"), default="python", help="whose heat the agent sees"
    )
    arguments = parser.parse_args()
    agent = PYTHON_AGENT if arguments.agent == "python" else PHONE_STATE_AGENT
    with Phone(MODELS[arguments.model], port=arguments.port, agent=agent) as phone:
        phone.thermal.status, phone.battery.percent = arguments.thermal_status, arguments.battery
        print(
            f"A simulated {phone.model.model}: adb connect {phone.address}\nIts files: {phone.storage.root}", flush=True
        )
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print()
        print("\n".join(phone.defects), end="")


if __name__ == "__main__":
    main()
