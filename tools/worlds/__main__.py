"""Any number of worlds, on the engine of DATABASE_URL: `python -m tools.worlds [N] [SEED]`."""

import os
import secrets
import subprocess
import sys


def main() -> int:
    """Run the property test on N worlds from a seed on; without a seed, from one by chance."""
    count, seed = [*sys.argv[1:], "", ""][:2]
    count, seed = count or "100", seed or str(secrets.randbelow(10**9))
    print(f"{count} worlds from seed {seed} on", flush=True)
    test = "training_runs/tests/test_worlds.py"
    own = {"WORLDS": count, "WORLDS_SEED": seed}
    command = [sys.executable, "-m", "pytest", "-q", "--maxfail=3", test]
    return subprocess.run(command, env={**os.environ, **own}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
