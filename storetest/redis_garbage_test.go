package storetest

import (
	"bufio"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stint-go/stint"
	"github.com/stint-go/stint/redisstore"
)

// liar is a server that answers every command with the same bytes.
func liar(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				lines := bufio.NewReader(c)
				for {
					line, err := lines.ReadString('\n')
					if err != nil {
						return
					}
					if strings.HasPrefix(line, "*") { // a command begins
						if _, err := c.Write([]byte(answer)); err != nil || answer == "" {
							return
						}
					}
				}
			}()
		}
	}()
	return "redis://" + l.Addr().String()
}

// Whatever a server answers, the store ends with an error, within its time.
func TestRedisGarbage(t *testing.T) {
	for _, answer := range []string{
		"", "HTTP/1.1 400 Bad Request\r\n\r\n", "+OK\r\n", ":7\r\n", "$-1\r\n", "*-1\r\n", "*0\r\n", "*3\r\n$1\r\nx\r\n:1\r\n$0\r\n\r\n", "*3\r\n$3\r\n123\r\n:1\r\n$4\r\nabcd\r\n",
		"-ERR nothing of the kind\r\n", "-NOSCRIPT never\r\n", "-MOVED 1 127.0.0.1:1\r\n", "$100\r\nx", "\x00\xff\r\n",
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 150*time.Millisecond)
		began := time.Now()
		s, err := redisstore.Open(ctx, liar(t, answer), redisstore.Options{AllowEviction: true})
		if err == nil {
			// What a probe does not notice a call does.
			var a stint.Answer
			if a, _, err = s.One(ctx, unchanging(t, "garbage", 5), "k", stint.TakeOp(1)); err == nil {
				t.Errorf("%q was taken for an answer: %+v", answer, a)
			}
			s.Close()
		}
		cancel()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%q: %v took %v", answer, err, took)
		}
	}
}
