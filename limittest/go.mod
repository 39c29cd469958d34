module github.com/stint-go/stint/limittest

go 1.25.0

require github.com/stint-go/stint v0.0.0

replace github.com/stint-go/stint => ../
