package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/stint-go/stint"
)

type paceCommand struct {
	leaf
	paceArguments `positional-args:"yes" required:"yes"`
	Burst         int64  `long:"burst" value-name:"N" description:"Let so many lines through at once after a pause, instead of spacing all of them."`
	Key           string `long:"key" value-name:"KEY" description:"Share the pace with every process that paces by this key and rate on the same store."`

	counting
}

// paceArguments are what stands without a flag.
type paceArguments struct {
	Rate string `positional-arg-name:"RATE" description:"How many lines in how long, such as 5/min." required:"yes"`
}

// What the help says above and below the flags.
const (
	paceAbout = `Lines are passed on unchanged, whatever they hold and however long they are, each as soon as its turn has come. It ends with the input.`

	paceExamples = `Examples:

    stint pace 5/min < addresses.txt | while read a; do mail -s hello "$a" < text; done

    tail -f orders.log | stint pace 10/s --burst 50 | import-orders

    stint pace 100/min --key partner-api --store redis://limits.example.com < calls.txt | xargs -n 1 curl -sS`
)

// Run passes lines from the standard input to the standard output.
func (c *paceCommand) Run(ctx context.Context, t *terminal) error {
	limit, err := c.limit()
	if err != nil {
		return err
	}
	key := c.Key
	if key == "" {
		if c.Store != "" && c.Store != "memory" {
			return errors.New("--store: a pace that is shared needs a key: give --key, too")
		}
		key, c.Store = "pace", "memory"
	}
	limiter, end, err := c.limiter(ctx, []stint.Limit{limit})
	if err != nil {
		return err
	}
	// A read cannot be stopped. It ends with the program, which a signal ends below.
	done := make(chan error, 1)
	go func() {
		done <- pace(t.in, t.out, func() error { return limiter.Wait(ctx, key) })
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if ctx.Err() != nil {
		err = errors.New("stopped before the end of the input")
	}
	return errors.Join(err, end())
}

// limit is the rate as a limit: spaced, unless it says otherwise.
func (c *paceCommand) limit() (stint.Limit, error) {
	limits, err := parseLimits("rate", []string{c.Rate}, c.Strategy)
	if err != nil {
		return stint.Limit{}, err
	}
	limit := limits[0]
	switch {
	case len(limits) > 1:
		return limit, fmt.Errorf("rate %q: give one rate", c.Rate)
	case c.Burst < 0:
		return limit, fmt.Errorf("--burst %d: must be 1 or more", c.Burst)
	case c.Burst > 0 && limit.Burst > 0:
		return limit, fmt.Errorf("rate %q and --burst %d: give the burst once", c.Rate, c.Burst)
	case c.Burst > 0:
		limit.Burst = c.Burst
	case limit.Strategy == nil && limit.Burst == 0:
		limit.Strategy, limit.Burst = stint.Pacing{}, 1
	}
	if limit.AtOnce() == 0 {
		if _, err := limit.Compile(); err != nil {
			return limit, err
		}
		return limit, fmt.Errorf("rate %q: no line would ever pass", c.Rate)
	}
	return limit, nil
}

// pace passes lines from in to out, each when its turn has come. It holds a part of a line only, so that lines may be of any length.
func pace(in io.Reader, out io.Writer, turn func() error) error {
	lines := bufio.NewReaderSize(in, 64<<10)
	begun := false // a line, of which a part has been passed on
	for {
		part, err := lines.ReadSlice('\n')
		if len(part) > 0 {
			if !begun {
				if err := turn(); err != nil {
					return err
				}
			}
			if _, err := out.Write(part); err != nil {
				return fmt.Errorf("the output: %w", err)
			}
		}
		switch {
		case err == nil:
			begun = false
		case errors.Is(err, bufio.ErrBufferFull):
			begun = true
		case errors.Is(err, io.EOF):
			return nil
		default:
			return fmt.Errorf("the input: %w", err)
		}
	}
}
