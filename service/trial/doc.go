// Package trial reports what limits that are only tried out would have done: candidates beside a limit, and routes in shadow or
// enforced for a share of the keys.
//
// A [Recorder] is told of every verdict of an httplimit.PolicyHandler and counts, for each trial, the calls it saw, those it would
// have refused, and how many keys they were of: "would have refused 3 % of calls, of 12 keys". A candidate sees the calls that the
// limits in force admitted. Counts begin with the trial's first call, and anew when its value changes.
//
// Noting costs nothing where nothing is tried out, some tens of nanoseconds where something is; memory is bounded by [MaxTrials] and
// [MaxKeys].
package trial
