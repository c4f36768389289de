"""``ceralacca bench``: how many certified flows a second this machine carries, end to end."""

import asyncio
import contextlib
import json
import ssl
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.lab.description import description_file
from gateway.lab.floor import floor_flows_per_second
from gateway.lab.load import generate
from gateway.lab.plan import LabPlan
from gateway.lab.postgres import PostgresMissing, database_url, postgres_server
from gateway.lab.processes import forget_peak, usage
from gateway.lab.running import Lab, running_lab
from gateway.lab.stages import stage_milliseconds

__all__ = ["bench"]

PROVIDERS, ACCOUNTS = 2, 10
WARM_UP_FLOWS = 200
QUEUE_PATIENCE_SECONDS = 60.0
REPORTED_SETTINGS = ("storage", "durability", "tls", "scanner", "register")


@dataclass(frozen=True, slots=True)
class Report:
    """What one run showed. Names and meaning stay; fields may be added."""

    flows: int
    flows_per_second: float
    floor_flows_per_second: float
    ratio: float
    acceptance_ms: dict[str, float]  # MAIL FROM sent to 250 read
    flow_ms: dict[str, float]  # MAIL FROM sent to delivery receipt fetched
    peak_rss_mb: dict[str, float]
    idle_rss_mb: dict[str, float]
    cpu_ms_per_flow: dict[str, float]
    stage_ms_per_flow: dict[str, float]  # of processor time; the stages without network, then all the rest
    megabytes_per_second: float  # of original messages
    lost: int
    doubled: int
    errors: list[str]
    duration_s: float
    settings: dict[str, dict[str, Any]]


def bench(
    *,
    flows: Annotated[int, typer.Option(min=1, help="How many certified messages.")] = 3000,
    size: Annotated[int, typer.Option("--size", min=500, help="Bytes of each.")] = 10_000,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Messages a second; left out: as many as go.")] = None,
    store: Annotated[str, typer.Option(help="sqlite or postgresql.")] = "sqlite",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure certified flows a second: two providers with production defaults, and a generator beside them.

    Every flow is a message handed in over TLS, sealed, relayed, verified, delivered and answered; it counts when its
    delivery receipt was fetched by POP3. In the same run the floor is measured: the signatures and verifications
    alone, on all cores.
    """
    if store not in ("sqlite", "postgresql"):
        raise typer.BadParameter("must be sqlite or postgresql", param_hint="--store")
    try:
        report = asyncio.run(_bench(flows, size, rate, store))
    except (PostgresMissing, RuntimeError) as error:
        typer.echo(f"ceralacca bench: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(json.dumps(asdict(report), indent=1) if as_json else _readable(report))
    if report.lost or report.doubled:
        raise typer.Exit(1)


async def _bench(flows: int, size: int, rate: float | None, store: str) -> Report:
    floor = await asyncio.to_thread(floor_flows_per_second, size)
    stages = await asyncio.to_thread(stage_milliseconds, size)
    with tempfile.TemporaryDirectory(prefix="ceralacca-bench-") as name:
        async with (
            _databases(store) as urls,
            running_lab(
                Path(name), providers=PROVIDERS, accounts=ACCOUNTS, restart=False, storage_urls=urls
            ) as running,
        ):
            return await _measured(running, flows, size, rate, floor, stages)


async def _measured(
    running: Lab, flows: int, size: int, rate: float | None, floor: float, stages: dict[str, float]
) -> Report:
    file = description_file(running.layout)
    pids = {domain: process.pid for domain, process in running.processes.items()}
    idle = {domain: usage(pid) for domain, pid in pids.items()}
    await generate(file, flows=min(WARM_UP_FLOWS, flows), size=size)
    for pid in pids.values():
        with contextlib.suppress(PermissionError):  # then the peak is that since the start
            forget_peak(pid)
    before = {domain: usage(pid) for domain, pid in pids.items()}
    load = await generate(file, flows=flows, size=size, rate=rate)
    await _queues_empty(running)
    after = {domain: usage(pid) for domain, pid in pids.items()}
    spent = {domain: (after[domain].cpu_seconds - before[domain].cpu_seconds) * 1000 / flows for domain in pids}
    duration = load.ended - load.began
    done = sum(1 for flow in load.flows if flow.receipt_at is not None)
    pace = done / duration
    return Report(
        flows=flows,
        flows_per_second=round(pace, 1),
        floor_flows_per_second=round(floor, 1),
        ratio=round(pace / floor, 3),
        acceptance_ms=_percentiles([flow.accepted_at - flow.sent_at for flow in load.flows if flow.accepted_at]),
        flow_ms=_percentiles([flow.receipt_at - flow.sent_at for flow in load.flows if flow.receipt_at]),
        peak_rss_mb={domain: round(after[domain].peak_rss_mb, 1) for domain in pids},
        idle_rss_mb={domain: round(idle[domain].rss_mb, 1) for domain in pids},
        cpu_ms_per_flow={
            **{domain: round(ms, 2) for domain, ms in spent.items()},
            "generator": round(load.cpu_seconds * 1000 / flows, 2),
        },
        stage_ms_per_flow={
            **stages,
            "smtp, store, mailboxes and rest": round(sum(spent.values()) - sum(stages.values()), 2),
        },
        megabytes_per_second=round(pace * size / 1_000_000, 2),
        lost=flows - len(load.acknowledged) + len(load.missing()) if not load.errors else len(load.missing()),
        doubled=len(load.doubled()),
        errors=load.errors,
        duration_s=round(duration, 2),
        settings={
            provider.domain: _settings(running.layout.provider(provider).log) for provider in running.plan.providers
        },
    )


@contextlib.asynccontextmanager
async def _databases(store: str) -> AsyncIterator[Callable[[LabPlan], dict[str, str]] | None]:
    if store == "sqlite":
        yield None
        return
    labels = [f"provider{number}" for number in range(PROVIDERS)]
    with postgres_server(labels) as sockets:
        yield lambda plan: {
            provider.domain: database_url(sockets, label)
            for provider, label in zip(plan.providers, labels, strict=True)
        }


async def _queues_empty(running: Lab) -> None:
    """Wait until nothing waits to leave (nobody tells when); what is found afterwards is final."""
    context = ssl.create_default_context(cafile=str(running.layout.ca_file))
    async with asyncio.timeout(QUEUE_PATIENCE_SECONDS):
        for provider in running.plan.providers:
            while await asyncio.to_thread(_queue, provider.ports["https"], context):  # noqa: ASYNC110
                await asyncio.sleep(0.2)


def _queue(port: int, context: ssl.SSLContext) -> int:
    with urllib.request.urlopen(f"https://localhost:{port}/health", context=context, timeout=10) as answer:
        waiting: int = json.load(answer)["queue"]
        return waiting


def _settings(log_file: Path) -> dict[str, Any]:
    """What the running provider itself said it runs with when it began to serve."""
    announced = [json.loads(line) for line in log_file.read_text().splitlines() if '"serving"' in line]
    return {name: announced[-1][name] for name in REPORTED_SETTINGS}


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    if not ordered:
        return {"p50": 0.0, "p99": 0.0}
    return {
        f"p{share}": round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)] * 1000, 1) for share in (50, 99)
    }


def _readable(report: Report) -> str:
    acceptance, flow = report.acceptance_ms, report.flow_ms
    pace = f"{report.flows_per_second:.0f} flows/s, {report.megabytes_per_second:.1f} MB/s of originals"
    floor = f"{report.floor_flows_per_second:.0f} flows/s, ratio {report.ratio}"
    lines = [
        f"{report.flows} certified flows in {report.duration_s:.1f} s: {pace}",
        f"floor (signatures and verifications alone): {floor}",
        f"acceptance p50 {acceptance['p50']} ms, p99 {acceptance['p99']} ms",
        f"whole flow p50 {flow['p50']} ms, p99 {flow['p99']} ms (mailboxes are polled)",
        f"lost {report.lost}, doubled {report.doubled}, errors {len(report.errors)}",
        *(f"{name}: {ms} ms of processor a flow" for name, ms in report.cpu_ms_per_flow.items()),
        "by stage, ms of processor a flow: "
        + ", ".join(f"{name} {ms}" for name, ms in report.stage_ms_per_flow.items()),
        *(
            f"{name}: {mb} MB idle, {report.peak_rss_mb[name]} MB at its peak"
            for name, mb in report.idle_rss_mb.items()
        ),
        *(f"{domain}: {settings}" for domain, settings in report.settings.items()),
        *(f"error: {error}" for error in report.errors[:5]),
    ]
    return "\n".join(lines)
