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

	"github.com/jessevdk/go-flags"

	"github.com/stint-go/stint/policy"
	"github.com/stint-go/stint/service/accounts"
)

// commands are the program's commands; each is in the file of its name.
type commands struct {
	Serve   serveCommand   `command:"serve" description:"Answer under a policy: the built-in one, or that of a file."`
	Proxy   proxyCommand   `command:"proxy" description:"Protect an HTTP service: hand on what the limits admit, refuse the rest."`
	Take    takeCommand    `command:"take" description:"Take from a limit, in a script: exit code 0 is admitted, 1 refused."`
	Pace    paceCommand    `command:"pace" description:"Pass lines from the standard input to the standard output at a rate."`
	Run     runCommand     `command:"run" pass-after-non-option:"yes" description:"Run a command when its turn has come."`
	Users   usersCommand   `command:"users" description:"Make, list and change users of the accounts."`
	Keys    keysCommand    `command:"keys" description:"Make, list and revoke API keys."`
	Plans   plansCommand   `command:"plans" description:"Make, list and change plans."`
	Load    loadCommand    `command:"load" description:"Send requests at a fixed rate, and judge whether a limit held."`
	Config  configCommand  `command:"config" description:"Check, explain and print policy files."`
	Health  healthCommand  `command:"health" description:"Say whether a service is ready: exit code 0 if it is."`
	Version versionCommand `command:"version" description:"Say which version this is."`
}

// What the help says above and below the commands.
const (
	mainAbout = `Limits how much one caller may do in a span of time.`

	mainExamples = `Examples:

    stint proxy --upstream http://127.0.0.1:5000 --limit 100/hour     # in front of a service
    stint take backup --limit 1/day && ./backup.sh                    # in a script
    stint pace 5/min < addresses.txt | ./send-mails.sh                # in a pipe
    stint run --limit 5/min --key mail -- sendmail -t < letter        # around a command
    stint load http://127.0.0.1:8080/ --rate 1000/s --expect 100/hour # does a limit hold?

More examples: stint COMMAND --help.`
)

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
	command, words, err := parse(all, args)
	if help, ok := errors.AsType[*flags.Error](err); ok && help.Type == flags.ErrHelp {
		if _, err := fmt.Fprintln(t.out, help.Message); err != nil {
			return fail(t.err, err)
		}
		return 0
	}
	if err != nil {
		fail(t.err, err)
		fmt.Fprintln(t.err, "stint: see", strings.Join(append([]string{"stint"}, words...), " "), "--help")
		if len(words) > 0 && words[0] == "run" {
			return exitOwn // 2 could be the command's
		}
		return exitFailed
	}
	switch c := command.(type) {
	case interface {
		Run(ctx context.Context, t *terminal, in line) error
	}:
		err = c.Run(ctx, t, all.line(words))
	case interface {
		Run(ctx context.Context, t *terminal) error
	}:
		err = c.Run(ctx, t)
	default:
		err = fmt.Errorf("%s does nothing: its Run is not that of a command", strings.Join(words, " "))
	}
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

// parse reads a command line: which command it calls, and by which words.
func parse(all *commands, args []string) (command flags.Commander, words []string, err error) {
	parser := flags.NewNamedParser("stint", flags.HelpFlag|flags.PassDoubleDash)
	parser.CommandHandler = func(c flags.Commander, rest []string) error {
		if command = c; len(rest) > 0 {
			return fmt.Errorf("unexpected argument %q", rest[0])
		}
		return nil
	}
	if _, err := parser.AddGroup("Flags", "", all); err != nil {
		return nil, nil, err
	}
	parser.LongDescription = mainAbout
	for name, about := range map[string]string{"take": takeAbout, "pace": paceAbout, "run": runAbout} {
		parser.Find(name).LongDescription = about
	}
	_, err = parser.ParseArgs(args)
	called := parser.Command
	for called.Active != nil {
		called = called.Active
		words = append(words, called.Name)
	}
	if wrong, ok := errors.AsType[*flags.Error](err); ok {
		switch wrong.Type {
		case flags.ErrHelp:
			examples := map[string]string{"stint": mainExamples, "take": takeExamples, "pace": paceExamples, "run": runExamples}
			wrong.Message = strings.TrimRight(wrong.Message+"\n"+examples[called.Name], "\n")
		default:
			err = errors.New(said(wrong, called))
		}
	}
	return command, words, err
}

// said is a mistake in a command line in this program's words.
func said(wrong *flags.Error, called *flags.Command) string {
	text := strings.NewReplacer("`", `"`, "'", `"`).Replace(wrong.Message)
	text = strings.ToLower(text[:1]) + text[1:]
	if wrong.Type == flags.ErrUnknownFlag {
		_, rest, _ := strings.Cut(text, `"`)
		flag, _, _ := strings.Cut(rest, `"`)
		if meant := policy.Nearest(flag, longNames(called)); meant != "" {
			text += fmt.Sprintf(", did you mean --%s?", meant)
		}
	}
	return text
}

// longNames are the flags that a command takes, its family's among them.
func longNames(c *flags.Command) []string {
	var names []string
	groups := c.Groups()
	for i := 0; i < len(groups); i++ { // they grow
		groups = append(groups, groups[i].Groups()...)
		for _, o := range groups[i].Options() {
			names = append(names, o.LongName)
		}
	}
	for _, o := range c.Options() {
		names = append(names, o.LongName)
	}
	return names
}

// leaf makes a command one that is called by itself, not a family of others.
type leaf struct{}

// Execute implements [flags.Commander]; the program calls Run.
func (leaf) Execute([]string) error { return nil }

// line is what the commands of a family learn of the line that called them: the flags of the family, and its words.
type line struct {
	*accountsFlags
	kind string // of whom the values are that it sets
	verb string // several commands are one type
}

func (all *commands) line(words []string) line {
	verb := words[len(words)-1]
	switch words[0] {
	case "keys":
		return line{&all.Keys.accountsFlags, accounts.KindKey, verb}
	case "plans":
		return line{&all.Plans.accountsFlags, "", verb}
	}
	return line{&all.Users.accountsFlags, accounts.KindUser, verb}
}

// apart are the values of a flag that may be given again, or once with commas.
func apart(values []string) []string {
	var all []string
	for _, v := range values {
		all = append(all, strings.Split(v, ",")...)
	}
	return all
}

func fail(w io.Writer, err error) int {
	fmt.Fprintf(w, "stint: %s\n", strings.TrimPrefix(err.Error(), "stint: "))
	return exitFailed
}
