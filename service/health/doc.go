// Package health tells whether a service lives and whether it is ready, for those that watch it.
//
// Alive means that the process answers: restart it if it does not. Ready means that requests may be sent: each [Check] says why they may
// not. The two differ, since a lost database is no reason to restart a process that will find it again.
package health
