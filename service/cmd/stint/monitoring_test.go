package main

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stint-go/stint/storetest/servers"
)

// The dashboard, the alerts and the page about them speak of metrics that there are, and the page of all that are ours.
func TestMonitoringNamesMetrics(t *testing.T) {
	p := start(t, "serve", "--store", servers.Redis(t).Address())
	key := firstKey(p)
	for range 12 {
		ask(t, p.url+"/limit", "X-API-KEY: "+key)
	}
	url, token := adminOf(p)
	res, metrics := ask(t, url+"/metrics", "Authorization: Bearer "+token)
	if res.StatusCode != 200 {
		t.Fatalf("the metrics: %s", res.Status)
	}
	var known []string
	for _, line := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(metrics, -1) {
		known = append(known, line[1])
		if line[2] == "histogram" {
			known = append(known, line[1]+"_bucket")
		}
	}
	named := regexp.MustCompile(`\b(stint|process|go)_[a-z_]+\b`)
	page := ""
	for _, file := range []string{"../../../deploy/grafana/stint.json", "../../../deploy/prometheus/stint.rules.yml", "../../../docs/monitoring.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, ".json") && !json.Valid(text) {
			t.Errorf("%s is no JSON", file)
		}
		page = string(text)
		for _, name := range named.FindAllString(page, -1) {
			if !slices.Contains(known, name) {
				t.Errorf("%s names %s, which is no metric", file, name)
			}
		}
	}
	for _, name := range known {
		if strings.HasPrefix(name, "stint_") && !strings.HasSuffix(name, "_bucket") && !strings.Contains(page, name) {
			t.Errorf("docs/monitoring.md does not say what %s is", name)
		}
	}
}
