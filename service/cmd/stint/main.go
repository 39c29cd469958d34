// Stint is a rate limiter: it protects an HTTP service with limits, and tries limits out.
//
//	stint serve              answer GET /limit under the built-in policy, or what a policy file says
//	stint proxy              protect any HTTP service, with no file at all
//	stint load               the hungry client: send at a fixed rate, and judge whether a limit held
//	stint config             check, explain and print policy files
//	stint version            say what this is
//
// It exits with 0 when it has done what was asked, with 1 when the answer is no (a limit did not hold, a policy file has
// mistakes), and with 2 when it could not do it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands are the program's commands; each is in the file of its name.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Answer under a policy: the built-in one, or that of a file."`
	Proxy   proxyCommand   `cmd:"" help:"Protect an HTTP service: hand on what the limits admit, refuse the rest."`
	Load    loadCommand    `cmd:"" help:"Send requests at a fixed rate, and judge whether a limit held."`
	Config  configCommand  `cmd:"" help:"Check, explain and print policy files."`
	Version versionCommand `cmd:"" help:"Say which version this is."`
}

// terminal is what a command reads and writes.
type terminal struct {
	in       *os.File
	out, err *os.File
}

const (
	exitNo     = 1
	exitFailed = 2
)

// errNo ends the program with exitNo. What there is to say has been printed.
var errNo = errors.New("no")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks the command to end; from then on a signal does what it does to any program.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], &terminal{os.Stdin, os.Stdout, os.Stderr}))
}

func run(ctx context.Context, args []string, t *terminal) int {
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parser, err := kong.New(new(commands),
		kong.Name("stint"),
		kong.Description("Limits how much one caller may do in a span of time."),
		kong.Writers(t.out, t.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"limit_help": `such as "100/hour", "10/s burst 20" or "5/1m30s interval-bucket"`},
	)
	if err != nil {
		return fail(t.err, err)
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(t.err, "stint: %v\nstint: see stint --help\n", err)
		return exitFailed
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	switch err := parsed.Run(t); {
	case errors.Is(err, errNo):
		return exitNo
	case err != nil:
		return fail(t.err, err)
	}
	return 0
}

func fail(w io.Writer, err error) int {
	fmt.Fprintf(w, "stint: %v\n", err)
	return exitFailed
}
