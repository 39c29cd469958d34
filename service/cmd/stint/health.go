package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

type healthCommand struct {
	leaf
	healthArguments `positional-args:"yes"`
	Timeout         time.Duration `long:"timeout" default:"2s" description:"How long it may take."`
}

// healthArguments are what stands without a flag.
type healthArguments struct {
	URL string `positional-arg-name:"URL" description:"What to ask; http://127.0.0.1:8080/readyz unless said."`
}

// Run asks, and says no if the answer is not 200: for health checks in images that hold no other program.
func (c *healthCommand) Run(ctx context.Context, t *terminal) error {
	if c.URL == "" {
		c.URL = "http://127.0.0.1:8080/readyz"
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil {
		return fmt.Errorf("%q is no address: %w", c.URL, err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		_, _ = fmt.Fprintf(t.err, "%s does not answer: %v\n", c.URL, err)
		return errNo
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10)) // what has come is enough to be shown
	if _, err := fmt.Fprintf(t.out, "%s %s", res.Status, body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errNo
	}
	return nil
}
