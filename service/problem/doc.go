// Package problem writes problem details (RFC 9457): what a service answers that cannot do what was asked.
package problem
