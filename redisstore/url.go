package redisstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Open makes a store from an address. Its client is closed with the store.
//
//	redis://[user:password@]host[:port][/db]                            a single server
//	unix://[user:password@]/path/to/socket[?db=0]                       … by its socket
//	redis+cluster://[user:password@]host:port[,host:port …]             a Cluster, of which some servers are named
//	redis+sentinel://[user:password@]host:port[,host:port …]/master[/db]   the master that these sentinels watch under that name
//
// With rediss in place of redis the connections are by TLS. Options follow after "?": ca=FILE (PEM) to trust instead of the
// machine's certificates, server-name=NAME, skip-verify=true to trust anybody, pool=N connections a server (default: 10 for each
// CPU), replicas=N and replica-timeout=TIME as in [Options], sentinel-user= and sentinel-password=. No error and no warning holds a password.
func Open(ctx context.Context, address string, o Options) (*Store, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	client, err := connect(address, &o)
	if err != nil {
		return nil, err
	}
	s, err := New(ctx, client, o)
	if err != nil {
		client.Close()
		return nil, err
	}
	s.own = true
	return s, nil
}

// AddressError says what is wrong with an address. It never holds the password.
type AddressError struct{ Reason string }

func (e *AddressError) Error() string { return "stint: redis: address: " + e.Reason }

func badAddress(format string, args ...any) error {
	return &AddressError{fmt.Sprintf(format, args...)}
}

// stateReload is how often a Cluster's client looks who is a master, so that a failover is seen as soon as it is over.
const stateReload = 200 * time.Millisecond

// connect makes the client of an address. It does not talk to anybody yet.
// What the address says of the store goes into its options.
func connect(address string, of *Options) (redis.UniversalClient, error) {
	rest, servers := splitHosts(address)
	u, err := url.Parse(rest)
	if err != nil {
		return nil, badAddress("not a URL; write redis://host:port, and %%-escapes for special characters in a password")
	}
	o := &redis.UniversalOptions{
		ContextTimeoutEnabled: true, DialTimeout: of.Timeout, DialerRetries: 1, MaxRetries: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	o.Username = u.User.Username()
	o.Password, _ = u.User.Password()
	secure := strings.HasPrefix(u.Scheme, "rediss")
	if err := applyQuery(o, of, u, secure); err != nil {
		return nil, err
	}
	path := strings.FieldsFunc(u.Path, func(r rune) bool { return r == '/' })
	switch u.Scheme {
	case "unix":
		if servers != "" || u.Path == "" {
			return nil, badAddress("scheme unix needs three slashes and a path, as unix:///run/redis.sock")
		}
		single := o.Simple()
		single.Network, single.Addr = "unix", u.Path
		return redis.NewClient(single), nil
	case "redis", "rediss":
		if o.Addrs, err = hosts(u, servers, "6379"); err != nil {
			return nil, err
		}
		if len(o.Addrs) > 1 {
			return nil, badAddress("several hosts; write redis+cluster:// or redis+sentinel://")
		}
		if err := database(o, path); err != nil {
			return nil, err
		}
		return redis.NewClient(o.Simple()), nil
	case "redis+cluster", "rediss+cluster":
		if o.Addrs, err = hosts(u, servers, "6379"); err != nil {
			return nil, err
		}
		if len(path) > 0 || o.DB != 0 {
			return nil, badAddress("a Cluster has one database only; leave it out")
		}
		cluster := o.Cluster()
		cluster.ClusterStateReloadInterval = stateReload
		return redis.NewClusterClient(cluster), nil
	case "redis+sentinel", "rediss+sentinel":
		if o.Addrs, err = hosts(u, servers, "26379"); err != nil {
			return nil, err
		}
		if len(path) == 0 {
			return nil, badAddress("the name of the master is missing, as in redis+sentinel://host:26379/mymaster")
		}
		o.MasterName = path[0]
		if err := database(o, path[1:]); err != nil {
			return nil, err
		}
		return redis.NewFailoverClient(o.Failover()), nil
	}
	return nil, badAddress("unknown scheme %q; there are redis, rediss, unix, redis+cluster, rediss+cluster, redis+sentinel, rediss+sentinel", u.Scheme)
}

// splitHosts takes the hosts out of the address, since package url knows one only.
func splitHosts(address string) (rest, hosts string) {
	scheme, after, ok := strings.Cut(address, "://")
	if !ok {
		return address, ""
	}
	end := strings.IndexAny(after, "/?#")
	if end < 0 {
		end = len(after)
	}
	at := strings.LastIndexByte(after[:end], '@') + 1
	return scheme + "://" + after[:at] + after[end:], after[at:end]
}

// hosts are the servers that the address names. An error does not show them: where a password has special characters that are not
// escaped, a part of it looks like a host, a path or an option.
func hosts(u *url.URL, servers, port string) ([]string, error) {
	if servers == "" {
		return nil, badAddress("no host; write %s://host:port", u.Scheme)
	}
	var all []string
	for host := range strings.SplitSeq(servers, ",") {
		name, p := host, port
		if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
			name, p = host[:i], host[i+1:]
		}
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 || name == "" || strings.ContainsAny(name, "% @") {
			return nil, badAddress("host number %d: write host:port", len(all)+1)
		}
		all = append(all, net.JoinHostPort(strings.Trim(name, "[]"), p))
	}
	return all, nil
}

// database sets the database out of the rest of the path.
func database(o *redis.UniversalOptions, path []string) error {
	if len(path) == 0 {
		return nil
	}
	db, err := strconv.Atoi(path[0])
	if err != nil || db < 0 || len(path) > 1 {
		return badAddress("the path must be the number of a database; a / in a password is written %%2F")
	}
	o.DB = db
	return nil
}

// applyQuery sets the options after "?".
func applyQuery(o *redis.UniversalOptions, of *Options, u *url.URL, secure bool) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return badAddress("what follows after ? cannot be read; write name=value&name=value")
	}
	if secure {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	for name, values := range query {
		value := values[len(values)-1]
		if err := applyOption(o, of, name, value); err != nil {
			return err
		}
	}
	return nil
}

func applyOption(o *redis.UniversalOptions, of *Options, name, value string) error {
	switch name {
	case "db", "pool", "replicas":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return badAddress("option %s: must be a number", name)
		}
		switch name {
		case "db":
			o.DB = n
		case "pool":
			o.PoolSize = n
		case "replicas":
			of.Replicas = n
		}
		return nil
	case "replica-timeout":
		d, err := time.ParseDuration(value)
		if err != nil || d < time.Millisecond {
			return badAddress("option replica-timeout: write a time such as 10ms")
		}
		of.ReplicaTimeout = d
		return nil
	case "sentinel-user":
		o.SentinelUsername = value
		return nil
	case "sentinel-password":
		o.SentinelPassword = value
		return nil
	case "ca", "server-name", "skip-verify":
	default:
		return badAddress("an unknown option; there are db, pool, replicas, replica-timeout, ca, server-name, skip-verify, sentinel-user, sentinel-password; a ? in a password is written %%3F")
	}
	if o.TLSConfig == nil {
		return badAddress("option %s: is for TLS; write rediss", name)
	}
	switch name {
	case "ca":
		pem, err := os.ReadFile(value)
		if err != nil {
			return badAddress("option ca: %v", err)
		}
		if o.TLSConfig.RootCAs = x509.NewCertPool(); !o.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
			return badAddress("option ca: %s holds no certificate in PEM", value)
		}
	case "server-name":
		o.TLSConfig.ServerName = value
	case "skip-verify":
		o.TLSConfig.InsecureSkipVerify = value == "true"
	}
	return nil
}
