// Package redisstore keeps the counts of limits in Redis or Valkey: a single server, one watched by Sentinel, or a Cluster. Many
// processes and machines share them exactly.
package redisstore
