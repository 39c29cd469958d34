package sqlstore_test

import (
	"context"
	"fmt"

	"github.com/stint-go/stint/sqlstore"
)

// A program that has not imported the driver is told which one to import.
func ExampleOpen() {
	_, err := sqlstore.Open(context.Background(), "postgres://app:secret@db.example.com/app", sqlstore.Options{})
	fmt.Println(err)
	// Output:
	// stint: sql store: the program has no driver for postgres: import one, such as _ "github.com/jackc/pgx/v5/stdlib"
}
