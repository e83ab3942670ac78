"""Development sessions: ``nox`` runs lint, typing and tests, each in its own environment.

With ``--no-venv`` a session runs in the active environment and installs nothing; so the Makefile and CI call them.
"""

import nox
from nox.virtualenv import PassthroughEnv

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "typing", "tests"]
nox.options.reuse_existing_virtualenvs = True

# Exact, because a range may pull a larger build of another release.
TORCH = "torch==2.13.0"
TOSA = "tosa-tools==2026.8.0"
WORKERS = ("--numprocesses=auto", "--dist=worksteal", "--cpu-seconds=10")


def install(session: nox.Session, extras: str) -> None:
    if isinstance(session.virtualenv, PassthroughEnv):
        return
    if "train" in extras:
        session.install(TORCH)
    session.install("-e", f".[{extras}]")
    if "train" in extras:
        # Without its dependencies: it asks for an older numpy than the rest is developed with.
        session.install("--no-deps", TOSA)


@nox.session
def lint(session: nox.Session) -> None:
    install(session, "dev")
    session.run("python", "-m", "ruff", "check", ".")
    session.run("python", "-m", "ruff", "format", "--check", ".")


@nox.session
def typing(session: nox.Session) -> None:
    install(session, "coreml,executorch,heif,onnx,report,tflite,train,web,dev")
    session.run("python", "-m", "mypy")
    session.run("python", "-m", "pyright", "--warnings")


@nox.session
def tests(session: nox.Session) -> None:
    install(session, "coreml,executorch,heif,onnx,report,tflite,train,web,dev")
    session.run("python", "-m", "pytest", *WORKERS, *session.posargs)


@nox.session
def parity(session: nox.Session) -> None:
    """The slow tests: all runtimes against the golden interpreter over many images, and all else marked slow."""
    install(session, "coreml,executorch,heif,onnx,report,tflite,train,web,dev")
    session.run("python", "-m", "pytest", "-m", "slow and not device and not swift", *WORKERS, *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    install(session, "dev")
    session.run("python", "-m", "pytest", "tests/packaging", *session.posargs)
