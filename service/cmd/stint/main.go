// Stint is a rate limiter: it protects an HTTP service with limits, limits scripts, and tries limits out.
//
//	stint serve              answer GET /limit under the built-in policy, or what a policy file says
//	stint proxy              protect any HTTP service, with no file at all
//	stint take               take from a limit in a script: 0 admitted, 1 refused
//	stint pace               pass lines on at a rate
//	stint run                run a command when its turn has come
//	stint users|keys|plans   who calls a service, by which API keys, under which values
//	stint load               the hungry client: send at a fixed rate, and judge whether a limit held
//	stint config             check, explain and print policy files
//	stint health             say whether a service is ready
//	stint version            say what this is
//
// It exits with 0 when it has done what was asked, with 1 when the answer is no (a limit did not hold, a policy file has
// mistakes, a take is refused), and with 2 when it could not do it; run exits as its command does. SIGINT or SIGTERM asks it to end, a second one ends it at once.
//
// A service that is protected, put to the test by 64 clients at once, gets exactly what its limit allows:
//
//	python3 -m http.server 5000 &
//	stint proxy --upstream http://127.0.0.1:5000 --limit 100/hour &
//	stint load http://127.0.0.1:8080/ --rate 1000/s --requests 1000 --connections 64 --expect 100/hour
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/stint-go/stint/service/accounts"
)

// commands are the program's commands; each is in the file of its name.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Answer under a policy: the built-in one, or that of a file."`
	Proxy   proxyCommand   `cmd:"" help:"Protect an HTTP service: hand on what the limits admit, refuse the rest."`
	Take    takeCommand    `cmd:"" help:"Take from a limit, in a script: exit code 0 is admitted, 1 refused."`
	Pace    paceCommand    `cmd:"" help:"Pass lines from the standard input to the standard output at a rate."`
	Run     runCommand     `cmd:"" help:"Run a command when its turn has come."`
	Users   usersCommand   `cmd:"" help:"Make, list and change users of the accounts."`
	Keys    keysCommand    `cmd:"" help:"Make, list and revoke API keys."`
	Plans   plansCommand   `cmd:"" help:"Make, list and change plans."`
	Load    loadCommand    `cmd:"" help:"Send requests at a fixed rate, and judge whether a limit held."`
	Config  configCommand  `cmd:"" help:"Check, explain and print policy files."`
	Health  healthCommand  `cmd:"" help:"Say whether a service is ready: exit code 0 if it is."`
	Version versionCommand `cmd:"" help:"Say which version this is."`
}

const description = `Limits how much one caller may do in a span of time.

Examples:

  stint proxy --upstream http://127.0.0.1:5000 --limit 100/hour     # in front of a service
  stint take backup --limit 1/day && ./backup.sh                    # in a script
  stint pace 5/min < addresses.txt | ./send-mails.sh                # in a pipe
  stint run --limit 5/min --key mail -- sendmail -t < letter        # around a command
  stint load http://127.0.0.1:8080/ --rate 1000/s --expect 100/hour # does a limit hold?

More examples: stint COMMAND --help.`

// terminal is what a command reads and writes.
type terminal struct {
	in       *os.File
	out, err *os.File
}

const (
	exitNo     = 1
	exitFailed = 2
	exitSignal = 128 // and the signal's number, as shells have it
)

// errNo ends the program with exitNo. What there is to say has been printed.
var errNo = errors.New("no")

func main() {
	quietDrivers()
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stop() // the first signal asks the command to end, the second ends the program
		os.Exit(exitSignal + int((<-signals).(syscall.Signal)))
	}()
	os.Exit(run(ctx, os.Args[1:], &terminal{os.Stdin, os.Stdout, os.Stderr}))
}

func run(ctx context.Context, args []string, t *terminal) int {
	if len(args) == 0 {
		args = []string{"--help"}
	}
	all := new(commands)
	parser, err := kong.New(all,
		kong.Name("stint"),
		kong.Description(description),
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
		if wrong, ok := errors.AsType[*kong.ParseError](err); ok && strings.HasPrefix(wrong.Context.Command(), "run ") {
			return exitOwn // 2 could be the command's
		}
		return exitFailed
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	words := strings.Fields(parsed.Command())
	parsed.Bind(all, verb(words[min(1, len(words)-1)]))
	if words[0] == "keys" {
		parsed.Bind(&all.Keys.accountsFlags, ownKind(accounts.KindKey))
	} else {
		parsed.Bind(&all.Users.accountsFlags, ownKind(accounts.KindUser))
	}
	err = parsed.Run(t)
	if own, ok := errors.AsType[*exitError](err); ok {
		if own.err != nil {
			fail(t.err, own.err)
		}
		return own.code
	}
	switch {
	case errors.Is(err, errNo):
		return exitNo
	case err != nil:
		return fail(t.err, err)
	}
	return 0
}

func fail(w io.Writer, err error) int {
	fmt.Fprintf(w, "stint: %s\n", strings.TrimPrefix(err.Error(), "stint: "))
	return exitFailed
}
