package redisstore

// ServerForExamples is the address of the server of this package's tests.
func ServerForExamples() string {
	server.once.Do(func() { server.err = startServer() })
	return "redis://" + server.address
}
