"""Counters and gauges for Prometheus, with bounded labels: tiers, reasons and outcomes, never users or prompts."""

from collections.abc import Sequence
from math import nan
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from classifier.drift import Drift
from router.canary.verdicts import Verdict
from router.health.targets import TargetReading
from router.ledger.shipping import ShippingState
from router.reports.coverage import CoverageFigures
from router.types import AcrossWorkers, Decision, Outcome, Tier

Labelled = TypeVar("Labelled", Counter, Histogram)
BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)


class Metrics:
    """What one worker has seen; `across` says what becomes of each gauge where there are several workers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.across: dict[str, AcrossWorkers] = {}
        self._children: dict[tuple[object, tuple[str, ...]], Any] = {}
        self.requests = Counter(
            "tierwise_requests", "Requests settled", ("tier", "final_tier", "reason", "outcome"), registry=self.registry
        )
        self.unopened = Counter(
            "tierwise_unopened_requests", "Clients gone before their request was opened", registry=self.registry
        )
        self.cost = Counter(
            "tierwise_cost_nanousd", "Cost of settled calls, nano-dollars", ("tier",), registry=self.registry
        )
        self.expected_revenue = Counter(
            "tierwise_expected_revenue_nanousd", "Expected revenue, nano-dollars", ("tier",), registry=self.registry
        )
        self.unpriced = Counter("tierwise_unpriced_calls", "Calls of models without a price", registry=self.registry)
        self.first_byte = Histogram(
            "tierwise_first_byte_seconds", "Time to first byte", ("tier",), buckets=BUCKETS_S, registry=self.registry
        )
        self.workers = self._gauge("tierwise_workers", "Workers that serve", across=AcrossWorkers.SUM)
        self.workers.set(1)
        self.leader = self._gauge(
            "tierwise_leader", "1 where the worker is that does what is done once for all", across=AcrossWorkers.SUM
        )
        self.spool_lag = self._gauge(
            "tierwise_spool_entries", "Entries not yet in the database", across=AcrossWorkers.SUM
        )
        self.spool_age = self._gauge(
            "tierwise_spool_age_seconds", "Age of the oldest such entry", across=AcrossWorkers.MOST
        )
        self.database_up = self._gauge(
            "tierwise_database_up", "1 while the database answers", across=AcrossWorkers.LEAST
        )
        self.places = self._gauge(
            "tierwise_places", "Places of requests, by state", ("state",), across=AcrossWorkers.SUM
        )
        self.body_bytes = self._gauge("tierwise_body_bytes", "Bytes of bodies in flight", across=AcrossWorkers.SUM)
        self.rejected = self._gauge(
            "tierwise_rejected_requests", "Requests the database refused", across=AcrossWorkers.COUNT
        )

        self.score_drift = self._gauge(
            "tierwise_score_stability_index",
            "Population stability of the last scores, of the worker where it is largest",
            across=AcrossWorkers.MOST,
        )
        self.calibration_gap = self._gauge(
            "tierwise_calibration_gap",
            "Promised less kept P(correct), by feedback, of the worker where it is largest",
            across=AcrossWorkers.MOST,
        )
        self.calibration_error = self._gauge(
            "tierwise_calibration_error",
            "Expected calibration error, by feedback, of the worker where it is largest",
            across=AcrossWorkers.MOST,
        )
        self.alarm = self._gauge(
            "tierwise_drift_alarm", "1 while a drift is alarming", ("what",), across=AcrossWorkers.MOST
        )

        self.duels = Counter(
            "tierwise_duels", "Shadow duels by agreement, or why there was none", ("ending",), registry=self.registry
        )
        self.duel_cost = Counter("tierwise_duel_cost_nanousd", "Cost of shadow duels", registry=self.registry)

        self.provider_failures = Counter(
            "tierwise_provider_failures", "Failed calls, by why", ("provider", "model", "cause"), registry=self.registry
        )

        self.breaker_open = self._gauge(
            "tierwise_breaker_open", "1 while a model is not asked as usual, by why", ("model", "cause")
        )
        self.breaker_openings = Counter(
            "tierwise_breaker_openings", "Breakers opened by calls", ("model", "cause"), registry=self.registry
        )
        self.target_speed = self._gauge(
            "tierwise_model_tokens_per_second", "Output of whole answers", ("model",), across=AcrossWorkers.MEAN
        )

        self.fallbacks = Counter(
            "tierwise_classifier_fallbacks", "Queries judged by the configured classifier", registry=self.registry
        )

        self.skipped_checks = Counter(
            "tierwise_skipped_checks", "Checks of samples left out: not installed", ("kind",), registry=self.registry
        )

        self.coverage_queries = self._gauge("tierwise_coverage_queries", "Queries sampled to the end", ("labelled",))
        self.coverage = self._gauge(
            "tierwise_coverage",
            "Of labelled ones at 4 samples: accuracy_at_1, majority, selected, pass, efficiency, invalid",
            ("what",),
        )

        self.canary_requests = self._gauge(
            "tierwise_canary_requests",
            "Requests of the canary watched, and beside it",
            ("arm",),
        )
        self.canary_harm = self._gauge("tierwise_canary_harm", "How much worse the canary is", ("guard",))
        self.canary_evidence = self._gauge(
            "tierwise_canary_evidence",
            "Evidence of it; from 1 on it is beyond chance",
            ("guard",),
        )

    def _gauge(
        self, name: str, says: str, labels: Sequence[str] = (), across: AcrossWorkers = AcrossWorkers.OWN
    ) -> Gauge:
        self.across[name] = across
        return Gauge(name, says, labels, registry=self.registry)

    def set_shipping(self, state: ShippingState) -> None:
        """Set the gauges of shipping."""
        self.spool_lag.set(state.lag_entries)
        self.spool_age.set(state.lag_seconds)
        self.database_up.set(state.database_ok)
        self.rejected.set(state.rejected_requests)

    def set_places(self, every: int, taken: int, waiting: int, body_bytes: int) -> None:
        """Set the gauges of admission."""
        for state, count in (("free", max(every - taken, 0)), ("taken", taken), ("waiting", waiting)):
            self.places.labels(state).set(count)
        self.body_bytes.set(body_bytes)

    def set_drift(self, scores: Drift, calibration: Drift, calibration_error: float) -> None:
        """Set the gauges of the classifier's drift; NaN while there is too little to go by."""
        self.score_drift.set(scores.value)
        self.calibration_gap.set(calibration.value)
        self.calibration_error.set(calibration_error)
        self.alarm.labels("scores").set(scores.is_alarming)
        self.alarm.labels("calibration").set(calibration.is_alarming)

    def set_coverage(self, figures: CoverageFigures) -> None:
        """Set the gauges of coverage: low efficiency calls for a verifier, low pass for another model."""
        self.coverage_queries.labels("no").set(figures.observed - figures.labelled)
        self.coverage_queries.labels("yes").set(figures.labelled)
        shares = {
            "accuracy_at_1": figures.accuracy_at_1,
            "majority": figures.majority_at_k,
            "selected": figures.selected_at_k,
            "pass": figures.pass_at_k,
            "efficiency": figures.efficiency,
            "invalid": figures.unreadable,
        }
        if figures.labelled:
            for name, share in shares.items():
                self.coverage.labels(name).set(nan if share is None else share)

    def count_duel(self, ending: str, cost_nanousd: int) -> None:
        """Count a duel: how it ended, or why it did not take place."""
        self.duels.labels(ending).inc()
        self.duel_cost.inc(cost_nanousd)

    def set_canary(self, verdict: Verdict | None) -> None:
        """Set the gauges of the canary's guards; there are none while no canary runs."""
        for gauge in (self.canary_requests, self.canary_harm, self.canary_evidence):
            gauge.clear()
        if verdict is not None:
            self.canary_requests.labels("canary").set(verdict.canary_requests)
            self.canary_requests.labels("control").set(verdict.control_requests)
            for finding in verdict.findings:
                self.canary_harm.labels(finding.guard).set(finding.harm)
                self.canary_evidence.labels(finding.guard).set(finding.evidence / finding.needed)

    def count_skipped_check(self, kind: str) -> None:
        """Count a check of samples, of mathematics or of a schema, that is left out without the extra `parallel`."""
        self.skipped_checks.labels(kind).inc()

    def count_fallback(self, version: str) -> None:
        """Count a query that the configured classifier judged in place of the one that its policy names."""
        self.fallbacks.inc()

    def set_classifier_missing(self, is_missing: bool) -> None:
        """Set the alarm for a classifier that a policy names and that cannot be loaded."""
        self.alarm.labels("classifier").set(is_missing)

    def count_failure(self, provider: str, model: str, cause: str) -> None:
        """Count a call that failed; models are those configured, causes a closed list."""
        self._child(self.provider_failures, provider, model, cause).inc()

    def count_breaker_opening(self, model: str, cause: str) -> None:
        """Count a breaker that opened; models are those configured, causes a closed list."""
        self._child(self.breaker_openings, model, cause).inc()

    def set_targets(self, targets: Sequence[TargetReading]) -> None:
        """Set the gauges of models: closed breakers are 0 without a cause; what is not measured is left out."""
        self.breaker_open.clear()
        for target in targets:
            self.breaker_open.labels(target.model, target.breaker.cause or "").set(not target.is_closed)
            if target.tokens_per_second is not None:
                self.target_speed.labels(target.model).set(target.tokens_per_second)

    def count_unopened(self) -> None:
        """Count a client that went away before its request was opened: nothing was spent, nothing is booked."""
        self.unopened.inc()

    def count_settled(
        self,
        decision: Decision,
        final_tier: Tier,
        outcome: Outcome,
        costs_nanousd: Sequence[int | None],
        revenue_nanousd: int | None,
        first_byte_ms: int | None,
    ) -> None:
        """Count a settled request and its calls; None is a call without a price."""
        self._child(self.requests, decision.tier, final_tier, decision.reason, outcome).inc()
        self._child(self.cost, final_tier).inc(sum(cost for cost in costs_nanousd if cost is not None))
        if (unpriced := costs_nanousd.count(None)) > 0:
            self.unpriced.inc(unpriced)
        if revenue_nanousd is not None:
            self._child(self.expected_revenue, final_tier).inc(revenue_nanousd)
        if first_byte_ms is not None:
            self._child(self.first_byte, final_tier).observe(first_byte_ms / 1000)

    def _child(self, metric: Labelled, *labels: str) -> Labelled:
        """The child of a metric by its labels; `metric.labels` takes longer than counting does."""
        child = self._children.get((metric, labels))
        if child is None:
            child = self._children[metric, labels] = metric.labels(*labels)
        return child
