package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stint-go/stint/batch"
	"github.com/stint-go/stint/storetest/servers"
)

// ClusterLine is what merged calls on many keys cost the masters of a Cluster, or a server alone.
type ClusterLine struct {
	Name    string
	Rate    float64 // decisions a second, where the callers, all servers and their replicas share the machine
	CPU     float64 // of all masters, µs a decision
	Busiest float64 // of the one that has most to do
}

// ByMasters measures 64 callers on so many keys, on one server and on a Cluster of three masters.
func ByMasters(keys int, e Effort) (lines []ClusterLine, err error) {
	l := &life{}
	defer func() {
		l.end()
		if failed := recover(); failed != nil {
			err = fmt.Errorf("a cluster: %v", failed)
		}
	}()
	one := servers.NewRedis(l, servers.RedisOptions{})
	many := servers.NewRedisCluster(l)
	for _, c := range []struct {
		name, address string
		servers       []*servers.RedisServer
	}{{"one server", one.Address(), []*servers.RedisServer{one}}, {"Cluster of three masters", many.Address(), many.Servers}} {
		decide, done, err := stintOn(inBatches(batch.Options{}))(c.address, false)
		if err != nil {
			return nil, err
		}
		group := &masters{}
		for _, s := range c.servers {
			group.clients = append(group.clients, s.Client())
		}
		row, figures := SharedRow{Callers: 64, Keys: keys}, &SharedFigures{}
		line := ClusterLine{Name: c.name}
		for range e.Rounds + 1 { // the first warms up
			*figures = SharedFigures{}
			before := group.each()
			if err := row.round(group, decide, sharedKeys(keys), e.Slice, figures); err != nil {
				return nil, err
			}
			n := figures.Rates[0] * e.Slice.Seconds()
			all, most := 0.0, 0.0
			for i, after := range group.each() {
				used := float64((after - before[i]).Microseconds())
				all, most = all+used, max(most, used)
			}
			line.Rate, line.CPU, line.Busiest = figures.Rates[0], all/n, most/n
		}
		done()
		group.close()
		lines = append(lines, line)
	}
	return lines, nil
}

// masters are the servers of a Cluster; those that are replicas count nothing.
type masters struct{ clients []*redis.Client }

// Where has no meaning for many.
func (*masters) Where() string { return "" }

// CPU is that of all masters.
func (m *masters) CPU() (sum time.Duration, err error) {
	for _, used := range m.each() {
		sum += used
	}
	return sum, nil
}

// each is the time that each master has used.
func (m *masters) each() []time.Duration {
	times := make([]time.Duration, len(m.clients))
	for i, c := range m.clients {
		info := c.InfoMap(context.Background(), "cpu", "replication").Val()
		if info["Replication"]["role"] != "master" {
			continue
		}
		for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
			seconds, _ := strconv.ParseFloat(strings.TrimSpace(info["CPU"][name]), 64)
			times[i] += time.Duration(seconds * float64(time.Second))
		}
	}
	return times
}

func (m *masters) close() {
	for _, c := range m.clients {
		c.Close()
	}
}

// ClusterTable shows the lines, and what a core of a master would give.
func ClusterTable(lines []ClusterLine) string {
	t := NewTable("merged, 64 callers, 100k keys", "decisions/s here", "all masters' CPU, µs a decision", "the busiest master's", "decisions/s when its core is full")
	for _, l := range lines {
		t.Line(l.Name, fmt.Sprintf("%.0f", l.Rate), fmt.Sprintf("%.2f", l.CPU), fmt.Sprintf("%.2f", l.Busiest), fmt.Sprintf("%.0f", 1e6/l.Busiest))
	}
	return t.String()
}
