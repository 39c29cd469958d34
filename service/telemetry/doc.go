// Package telemetry tells the outside how a service does: Prometheus metrics, OpenTelemetry traces over OTLP, and a log of refusals that
// cannot flood.
//
// No metric has a key or a user as a label, so their number is bounded whatever callers do: routes and limits are those of the policy, the
// first [MaxLabels] of them by name and the rest as "other". Who is refused most is told by package usage.
//
// docs/monitoring.md of the project says what each metric means and what to do about it.
package telemetry
