package redisstore

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"strings"

	"github.com/redis/go-redis/v9"
)

// script is a Lua script. The server runs it whole or not at all.
type script struct{ declared, plain form }

// form is how a script is said to the server, and its name there.
type form struct{ source, sum string }

var (
	//go:embed decide.lua
	decideSource string
	//go:embed take.lua
	takeSource string
	//go:embed read.lua
	readSource string
	//go:embed swap.lua
	swapSource string
	//go:embed probe.lua
	probeSource string

	decideScript = newScript(decideSource)
	takeScript   = newScript(takeSource)
	readScript   = newScript(readSource)
	swapScript   = newScript(swapSource)
	probeScript  = newScript(probeSource)
)

// newScript declares the script as one that writes, so that a replica, or a server that may not write, refuses it as a whole. A server
// older than 7.0 takes the plain form only, and fails at the first write.
func newScript(source string) *script {
	return &script{newForm("#!lua\n" + source), newForm(source)}
}

func newForm(source string) form {
	sum := sha1.Sum([]byte(source))
	return form{source, hex.EncodeToString(sum[:])}
}

// undeclared says whether the server does not know declared scripts.
func undeclared(err error) bool {
	return isServers(err) && strings.Contains(err.Error(), "unexpected symbol near '#'")
}

// call is one call of a script, and what came of it.
type call struct {
	script *script
	keys   []string
	args   []any
	plain  bool // the server is too old for the declared form
	whole  bool // send the source, since the server does not have the script
	answer any
	err    error
}

// command is the call as the client sends it.
func (c *call) command(ctx context.Context) *once {
	f := &c.script.declared
	if c.plain {
		f = &c.script.plain
	}
	args := make([]any, 0, 3+len(c.keys)+len(c.args))
	if c.whole {
		args = append(args, "eval", f.source)
	} else {
		args = append(args, "evalsha", f.sum)
	}
	args = append(args, len(c.keys))
	for _, key := range c.keys {
		args = append(args, key)
	}
	return &once{redis.NewCmd(ctx, append(args, c.args...)...)}
}

// done takes over what came of the command.
func (c *call) done(cmd *once) {
	c.answer, c.err = cmd.Result()
}

// once is a command that the client may not send again by itself: only the store knows what surely did not run.
type once struct{ *redis.Cmd }

// NoRetry implements redis.Cmder.
func (*once) NoRetry() bool { return true }

// list is an answer that has so many elements.
func (c *call) list(n int) ([]any, error) {
	if c.err != nil {
		return nil, told(c.err)
	}
	list, ok := c.answer.([]any)
	if !ok || len(list) != n {
		return nil, ErrAnswer
	}
	return list, nil
}

// text is an answer that is text.
func (c *call) text() (string, error) {
	if c.err != nil {
		return "", told(c.err)
	}
	text, ok := c.answer.(string)
	if !ok {
		return "", ErrAnswer
	}
	return text, nil
}

// marks is an answer that is text of that length, of one mark for each key.
func (c *call) marks(n int) (string, error) {
	text, err := c.text()
	if err == nil && (len(text) != n || strings.Trim(text, "01u") != "") {
		return "", ErrAnswer
	}
	return text, err
}
