package main

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A thousand connections that send nothing keep nobody else waiting.
func TestSilentConnections(t *testing.T) {
	p := start(t, "serve")
	key := firstKey(p)
	for range 1000 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	for i := range 3 {
		if res, _ := ask(t, p.url+"/limit", "X-API-KEY: "+key); res.StatusCode != 200 {
			t.Errorf("call %d: %s", i, res.Status)
		}
	}
}

// A body of a gigabyte is refused before it is read, on both listeners.
func TestHugeBodies(t *testing.T) {
	p := start(t, "serve")
	key := firstKey(p)
	admin, token := adminOf(p)
	for path, url := range map[string]string{"/v1/take": p.url, "/v1/users": admin} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		secret := key
		if url == admin {
			secret = token
		}
		if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", path, secret, 1<<30); err != nil {
			t.Fatal(err)
		}
		sent := make(chan int64, 1)
		go func() {
			spaces := []byte(strings.Repeat(" ", 64<<10))
			n := int64(0)
			for n < 1<<30 {
				w, err := conn.Write(spaces)
				if n += int64(w); err != nil {
					break
				}
			}
			sent <- n
		}()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %s", path, res.Status)
		}
		if n := <-sent; n > 64<<20 {
			t.Errorf("%s: %d bytes of it were read", path, n)
		}
	}
}

// Requests that two servers could read differently are refused, and headers that speak of others are not believed.
func TestSmuggling(t *testing.T) {
	p := start(t, "serve")
	for what, head := range map[string]string{
		"two lengths":           "Content-Length: 5\r\nContent-Length: 6\r\n",
		"a length and chunks":   "Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n",
		"a line that is folded": "X-A: b\r\n X-API-KEY: c\r\n",
		"a space before :":      "X-API-KEY : c\r\n",
		"a bare line feed":      "X-A: b\nX-API-KEY\x00: c\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "POST /v1/take HTTP/1.1\r\nHost: x\r\n%s\r\n{}", head); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusNotImplemented && res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %s", what, res.Status)
		}
	}
}
