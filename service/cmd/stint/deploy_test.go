package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/stint-go/stint/storetest/servers"
)

// What deploy/ and the Dockerfile start is a service that limits: their arguments and policies, with files and addresses of the test.
func TestDeployments(t *testing.T) {
	args, policies := kubernetes(t, "../../../deploy/kubernetes/stint.yaml")
	for name, c := range map[string]struct {
		args   []string
		policy string
	}{
		"kubernetes": {args, policies["stint.yaml"]},
		"systemd":    {systemd(t, "../../../deploy/systemd/stint.service"), defaultPolicy(t)},
		"docker":     {docker(t, "../../../Dockerfile"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			args := c.args
			for flag, value := range map[string]string{"-c": write(t, "stint.yaml", c.policy), "--data": t.TempDir(), "--admin": "127.0.0.1:0"} {
				if at := slices.Index(args, flag); at >= 0 {
					args[at+1] = value
				}
			}
			if at := slices.Index(args, "--listen"); at >= 0 {
				args = slices.Delete(args, at, at+2)
			}
			p := start(t, append(args, "--store", servers.Redis(t).Address())...)
			key := firstKey(p)
			for path, want := range map[string]int{"/limit": 401, "/healthz": 200, "/readyz": 200} {
				if res, body := ask(t, p.url+path); res.StatusCode != want {
					t.Errorf("%s: %s %s", path, res.Status, body)
				}
			}
			refused := false
			for range 30 {
				res, _ := ask(t, p.url+"/limit", "X-API-KEY: "+key)
				refused = refused || res.StatusCode == 429
			}
			if !refused {
				t.Error("30 requests at once are all granted")
			}
			if code := p.stop(syscall.SIGTERM); code != 0 {
				t.Errorf("exit code %d:\n%s", code, p.text())
			}
		})
	}
}

// kubernetes are the arguments of the container and the files of the ConfigMap.
func kubernetes(t *testing.T, file string) (args []string, files map[string]string) {
	t.Helper()
	documents := yaml.NewDecoder(bytes.NewReader([]byte(contents(t, file))))
	for {
		var d struct {
			Kind string
			Data map[string]string
			Spec struct {
				Template struct {
					Spec struct{ Containers []struct{ Args []string } }
				}
			}
		}
		err := documents.Decode(&d)
		switch {
		case errors.Is(err, io.EOF):
			return args, files
		case err != nil:
			t.Fatal(err)
		case d.Kind == "ConfigMap":
			files = d.Data
		case d.Kind == "Deployment":
			args = d.Spec.Template.Spec.Containers[0].Args
		}
	}
}

// systemd are the arguments that the unit starts the program with.
func systemd(t *testing.T, file string) []string {
	t.Helper()
	return strings.Fields(regexp.MustCompile(`(?m)^ExecStart=\S+/stint (.*)$`).FindStringSubmatch(contents(t, file))[1])
}

// docker are those of the image.
func docker(t *testing.T, file string) (args []string) {
	t.Helper()
	list := regexp.MustCompile(`(?m)^CMD (\[.*\])$`).FindStringSubmatch(contents(t, file))[1]
	if err := json.Unmarshal([]byte(list), &args); err != nil {
		t.Fatal(err)
	}
	return args
}

func defaultPolicy(t *testing.T) string {
	t.Helper()
	text, _, code := ended(t, "config", "default")
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	return text
}
