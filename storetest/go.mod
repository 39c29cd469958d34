module github.com/stint-go/stint/storetest

go 1.25.0

require (
	github.com/stint-go/stint v0.0.0
	github.com/stint-go/stint/limittest v0.0.0
)

require (
	github.com/anishathalye/porcupine v1.3.1 // indirect
	go.uber.org/goleak v1.3.0 // indirect
	pgregory.net/rapid v1.3.0 // indirect
)

replace (
	github.com/stint-go/stint => ../
	github.com/stint-go/stint/limittest => ../limittest
)
