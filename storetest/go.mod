module github.com/stint-go/stint/storetest

go 1.25.0

replace github.com/stint-go/stint => ../
