// Package cluster spreads experiments over many machines by a NATS server with JetStream.
//
// A run puts each experiment as a job into a work queue, and workers take the jobs. Which
// worker has a job, and when a silent one loses it, is JetStream's to decide; this package adds
// one rule: every write to what is known of an experiment names the revision that it replaces,
// so that a worker which lost its job can write nothing more. On the server there are
//
//	stream  bittern_1_jobs         bittern.1.jobs.ISA.ID: a job, until it is acknowledged as finished;
//	                               bittern.1.jobs.ISA.CLASS.ID if only machines of a class may take it
//	stream  bittern_1_metrics      bittern.1.metrics.ID: training steps and validations, in chunks
//	bucket  bittern_1_experiments  ID: the row, deployments and checkpoints of an experiment, see record
//	bucket  bittern_1_classes      a suite: the class of machines that it keeps to
//	bucket  bittern_1_workers      a worker: what it is and does; an entry lives for half a minute
//	objects bittern_1_files        checkpoints and deployed networks, which a record names
//
// and messages that nobody keeps: bittern.1.progress.ID and bittern.1.notices.ID. ISA is the
// instruction set that the job's numbers depend on. The 1 is the version of all these formats:
// programs of another version use other names.
package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bittern/plugins"
)

const (
	jobsStream        = "bittern_1_jobs"
	metricsStream     = "bittern_1_metrics"
	experimentsBucket = "bittern_1_experiments"
	classesBucket     = "bittern_1_classes"
	workersBucket     = "bittern_1_workers"
	filesBucket       = "bittern_1_files"

	jobsSubject     = "bittern.1.jobs."
	metricsSubject  = "bittern.1.metrics."
	progressSubject = "bittern.1.progress."
	noticesSubject  = "bittern.1.notices."
)

// format is the version of what is stored under these names.
const format = 1

// Limits on what is taken from a server.
const (
	maxMessage = 8 << 20 // bytes of a record, a job or a chunk of metrics
	maxFile    = 4 << 30 // bytes of a checkpoint or a part of a deployed network
)

// presence is how long a worker is listed after its last sign of life.
const presence = 30 * time.Second

// answerTime is how long one answer of the server is waited for.
const answerTime = 10 * time.Second

// Options say which server to connect to, and as whom.
type Options struct {
	URL         string // nats://HOST:PORT, or several with commas between
	Credentials string // file of a user's JWT and seed; may be empty
	Authority   string // PEM file of the authority that signed the server's certificate; may be empty
	Certificate string // PEM files of the client's certificate and key; both or none
	Key         string

	lease time.Duration // until the job of a silent worker is given to another; 0 is the usual time
}

// usualLease leaves room for a machine that is busy, and for a network that is gone for a moment.
const usualLease = 30 * time.Second

// Cluster is a connection to a server. It is safe for concurrent use.
type Cluster struct {
	options     Options
	nc          *nats.Conn
	js          jetstream.JetStream
	experiments jetstream.KeyValue
	classes     jetstream.KeyValue
	workers     jetstream.KeyValue
	files       jetstream.ObjectStore
}

// Connect connects to a server, and makes the streams and buckets where there are none. What
// the user has to mend is a [*plugins.Problem].
func Connect(ctx context.Context, o Options) (*Cluster, error) {
	o.lease = cmp.Or(o.lease, usualLease)
	settings := []nats.Option{
		nats.Name("bittern"), nats.Timeout(answerTime / 2),
		nats.MaxReconnects(-1), nats.ReconnectWait(500 * time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // what it concerns is told by the call
	}
	for _, given := range []struct {
		flag, file string
		option     nats.Option
	}{
		{"nats-creds", o.Credentials, nats.UserCredentials(o.Credentials)},
		{"nats-tls-ca", o.Authority, nats.RootCAs(o.Authority)},
		{"nats-tls-key", o.Key, nil}, // is an option together with the certificate
		{"nats-tls-cert", o.Certificate, nats.ClientCert(o.Certificate, o.Key)},
	} {
		if given.file == "" {
			continue
		}
		_, err := os.ReadFile(given.file)
		if err == nil && given.option != nil {
			settings, err = append(settings, given.option), given.option(&nats.Options{})
		}
		if err != nil {
			return nil, plugins.Problemf("--%s cannot be used (%s); name another file", given.flag, strings.TrimPrefix(err.Error(), "nats: "))
		}
	}
	nc, err := nats.Connect(o.URL, settings...)
	if err != nil {
		return nil, o.refused(err)
	}
	c := &Cluster{options: o, nc: nc}
	one, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := c.prepare(one); err != nil {
		nc.Close()
		if silent(err) && ctx.Err() == nil {
			err = plugins.Problemf("the NATS server at %s does not answer (%s); see whether it is well, or name another with --nats", o, err)
		}
		return nil, err
	}
	return c, nil
}

// Close closes the connection.
func (c *Cluster) Close() { c.nc.Close() }

// String names the server without its secrets.
func (o Options) String() string {
	var shown []string
	for _, one := range strings.Split(o.URL, ",") {
		if parsed, err := url.Parse(strings.TrimSpace(one)); err == nil && parsed.Host != "" {
			parsed.User = nil
			one = parsed.String()
		} else if _, host, ok := strings.Cut(one, "@"); ok {
			one = host
		}
		shown = append(shown, one)
	}
	return strings.Join(shown, ",")
}

// refused says why there is no connection.
func (o Options) refused(err error) error {
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
		return plugins.Problemf("the NATS server at %s refuses these credentials; give others with --nats-creds, or in the URL", o)
	case errors.Is(err, nats.ErrSecureConnWanted), strings.Contains(err.Error(), "tls"), strings.Contains(err.Error(), "x509"):
		return plugins.Problemf("the NATS server at %s cannot be talked to over TLS (%s); see --nats-tls-ca, --nats-tls-cert and --nats-tls-key", o, strings.TrimPrefix(err.Error(), "nats: "))
	case strings.Contains(err.Error(), "nkeys"), strings.Contains(err.Error(), "jwt"):
		return plugins.Problemf("the file of --nats-creds is no credentials file (%s); name the one that was made for this server", err)
	}
	return plugins.Problemf("there is no NATS server at %s (%s); start one with nats-server -js, or name another with --nats", o, strings.TrimPrefix(err.Error(), "nats: "))
}

// prepare makes streams and buckets where there are none.
func (c *Cluster) prepare(ctx context.Context) (err error) {
	if c.js, err = jetstream.New(c.nc); err != nil {
		return err
	}
	if _, err := c.js.AccountInfo(ctx); err != nil {
		return c.explain(err)
	}
	for _, config := range []jetstream.StreamConfig{
		{
			Name: jobsStream, Description: "experiments to run, one message each", Subjects: []string{jobsSubject + ">"},
			Retention: jetstream.WorkQueuePolicy,
			// A job that is waiting or being worked on is not put in a second time.
			MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
		},
		{Name: metricsStream, Description: "training steps and validations", Subjects: []string{metricsSubject + ">"}},
	} {
		if _, err := c.js.Stream(ctx, config.Name); errors.Is(err, jetstream.ErrStreamNotFound) {
			_, err = c.js.CreateStream(ctx, config)
			if err != nil {
				return c.explain(err)
			}
		} else if err != nil {
			return c.explain(err)
		}
	}
	if c.experiments, err = c.bucket(ctx, jetstream.KeyValueConfig{
		Bucket: experimentsBucket, Description: "what is known of each experiment", MaxValueSize: maxMessage,
	}); err != nil {
		return err
	}
	if c.classes, err = c.bucket(ctx, jetstream.KeyValueConfig{
		Bucket: classesBucket, Description: "the class of machines that a suite keeps to", MaxValueSize: maxMessage,
	}); err != nil {
		return err
	}
	if c.workers, err = c.bucket(ctx, jetstream.KeyValueConfig{
		Bucket: workersBucket, Description: "workers that are alive", MaxValueSize: maxMessage, TTL: presence,
	}); err != nil {
		return err
	}
	if c.files, err = c.js.ObjectStore(ctx, filesBucket); errors.Is(err, jetstream.ErrBucketNotFound) {
		c.files, err = c.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: filesBucket, Description: "checkpoints and deployed networks"})
	}
	return c.explain(err)
}

func (c *Cluster) bucket(ctx context.Context, config jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	bucket, err := c.js.KeyValue(ctx, config.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		bucket, err = c.js.CreateKeyValue(ctx, config)
	}
	return bucket, c.explain(err)
}

// Codes of JetStream's errors, from errors.json of nats-server.
const (
	codeInsufficientResources = 10023
	codeStorageExceeded       = 10047
	codeStoreFailed           = 10077
)

// errQueued says that the job of an experiment is in the queue already.
var errQueued = errors.New("the job is in the queue already")

// explain says what to do about an error of the server, where the user can do something.
func (c *Cluster) explain(err error) error {
	fault, ok := errors.AsType[*jetstream.APIError](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return plugins.Problemf("the NATS server at %s has no JetStream for this account, or its disk is full; start it with -js and room on its disk", c.options)
	case ok && fault.ErrorCode == codeStoreFailed && strings.Contains(fault.Description, "per subject"):
		return errQueued
	case ok && (fault.ErrorCode == codeInsufficientResources || fault.ErrorCode == codeStorageExceeded || fault.ErrorCode == codeStoreFailed):
		return plugins.Problemf("the NATS server at %s cannot store more (%s); make room there and run the same command again", c.options, fault.Description)
	case errors.Is(err, nats.ErrMaxPayload):
		return plugins.Problemf("the NATS server at %s takes messages of at most %d bytes, which is too little; raise max_payload in its configuration", c.options, c.nc.MaxPayload())
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrAuthorization):
		return plugins.Problemf("the connection to the NATS server at %s has ended (%s); run the same command again", c.options, cmp.Or(c.nc.LastError(), err))
	case errors.Is(err, nats.ErrPermissionViolation):
		return plugins.Problemf("the NATS server at %s does not let this user do that (%s); see docs/many-machines.md for the subjects it needs", c.options, err)
	}
	return err
}

// patience is how long a server may be silent before work on an experiment is given up.
const patience = 5 * time.Minute

// slowest is the least that a connection is taken to carry, in bytes a second.
const slowest = 1 << 20

// patiently does what asks the server for something small, and does it again while the server
// is silent, at most for the time of patience.
func (c *Cluster) patiently(ctx context.Context, ask func(ctx context.Context) error) error {
	return c.patientlyLong(ctx, 0, ask)
}

// patientlyLong is patiently for what moves so many bytes.
func (c *Cluster) patientlyLong(ctx context.Context, bytes int, ask func(ctx context.Context) error) error {
	const pause = 500 * time.Millisecond
	for began := time.Now(); ; {
		one, cancel := context.WithTimeout(ctx, answerTime+time.Duration(bytes/slowest)*time.Second)
		err := c.explain(ask(one))
		cancel()
		if err == nil || !silent(err) {
			return err
		}
		if time.Since(began) > patience {
			return fmt.Errorf("the NATS server at %s has not answered for %s: %w", c.options, patience, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// silent says whether an error means that the server did not answer, as when it is started
// again or the network is gone.
func silent(err error) bool {
	for _, one := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected, nats.ErrConnectionReconnecting,
		jetstream.ErrNoStreamResponse, nats.ErrNoServers, nats.ErrReconnectBufExceeded,
	} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}
