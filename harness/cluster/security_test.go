package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	a := authority{certificate: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the lab"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	var der []byte
	der, a.key = sign(t, a.certificate, authority{})
	var err error
	a.certificate, err = x509.ParseCertificate(der)
	must(t, err)
	return a
}

// sign makes a key and a certificate for it, which signs itself if there is no authority.
func sign(t *testing.T, of *x509.Certificate, by authority) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	if by.key == nil {
		by = authority{of, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, of, by.certificate, &key.PublicKey, by.key)
	must(t, err)
	return der, key
}

// issue makes a certificate for this machine, as a server and as a client.
func (a authority) issue(t *testing.T) (der []byte, key *ecdsa.PrivateKey) {
	t.Helper()
	return sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "a machine"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a)
}

// writePEM writes a file in the folder of a test, and returns its path.
func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	return writeFile(t, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func writeFile(t *testing.T, content []byte) string {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	_, err = file.Write(content)
	must(t, err)
	must(t, file.Close())
	return file.Name()
}

// client are the files of a client's certificate and key.
func (a authority) client(t *testing.T) (certificate, key string) {
	t.Helper()
	der, private := a.issue(t)
	text, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	return writePEM(t, "CERTIFICATE", der), writePEM(t, "PRIVATE KEY", text)
}

// A server with a certificate, which asks clients for one too, is used by those who have the
// right files. For others one sentence says which flag is wrong.
func TestTLS(t *testing.T) {
	t.Parallel()
	lab, other := newAuthority(t), newAuthority(t)
	der, key := lab.issue(t)
	pool := x509.NewCertPool()
	pool.AddCert(lab.certificate)
	settings := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	oneSided := startWith(t, &server.Options{JetStream: true, TLSConfig: settings})
	mutual := settings.Clone()
	mutual.ClientCAs, mutual.ClientAuth = pool, tls.RequireAndVerifyClientCert
	twoSided := startWith(t, &server.Options{JetStream: true, TLSConfig: mutual, TLSVerify: true})
	plain := startWith(t, &server.Options{JetStream: true})

	ours, theirs := writePEM(t, "CERTIFICATE", lab.certificate.Raw), writePEM(t, "CERTIFICATE", other.certificate.Raw)
	certificate, private := lab.client(t)
	foreign, foreignKey := other.client(t)
	nothing := filepath.Join(t.TempDir(), "nothing.pem")
	for _, test := range []struct {
		name string
		o    Options
		want string // empty if it works
	}{
		{"server's authority", Options{URL: oneSided, Authority: ours}, ""},
		{"nats URL", Options{URL: strings.Replace(oneSided, "tls:", "nats:", 1), Authority: ours}, ""},
		{"client's certificate", Options{URL: twoSided, Authority: ours, Certificate: certificate, Key: private}, ""},
		{"no authority", Options{URL: oneSided}, "over TLS"},
		{"another authority", Options{URL: oneSided, Authority: theirs}, "over TLS"},
		{"no certificate", Options{URL: twoSided, Authority: ours}, "over TLS"},
		{"certificate of another authority", Options{URL: twoSided, Authority: ours, Certificate: foreign, Key: foreignKey}, "over TLS"},
		{"server without TLS", Options{URL: plain, Authority: ours}, "over TLS"},
		{"key of another certificate", Options{URL: twoSided, Authority: ours, Certificate: certificate, Key: foreignKey}, "--nats-tls-cert"},
		{"no key there", Options{URL: twoSided, Authority: ours, Certificate: certificate, Key: nothing}, "--nats-tls-key cannot be used"},
		{"no authority there", Options{URL: oneSided, Authority: nothing}, "--nats-tls-ca cannot be used"},
		{"authority that is a key", Options{URL: oneSided, Authority: private}, "--nats-tls-ca cannot be used"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			wantConnection(t, test.o, test.want)
		})
	}
}

// wantConnection connects and stores something, or wants a problem with a sentence, of one line.
func wantConnection(t *testing.T, o Options, sentence string) {
	t.Helper()
	c, err := Connect(t.Context(), o)
	if sentence != "" {
		wantProblem(t, err, sentence)
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("the error has several lines: %v", err)
		}
		return
	}
	must(t, err)
	defer c.Close()
	_, err = c.upload(t.Context(), "file", make([]byte, 1000), nil)
	must(t, err)
}

// account is one of a NATS operator's, with the claims that make it.
type account struct {
	key    nkeys.KeyPair
	claims *jwt.AccountClaims
}

func newAccount(t *testing.T) account {
	t.Helper()
	key, public := newKey(t, nkeys.CreateAccount)
	claims := jwt.NewAccountClaims(public)
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	return account{key, claims}
}

func newKey(t *testing.T, create func() (nkeys.KeyPair, error)) (key nkeys.KeyPair, public string) {
	t.Helper()
	key, err := create()
	must(t, err)
	public, err = key.PublicKey()
	must(t, err)
	return key, public
}

// user is the credentials file of a new user of the account.
func (a account) user(t *testing.T, change func(*jwt.UserClaims)) string {
	t.Helper()
	key, public := newKey(t, nkeys.CreateUser)
	claims := jwt.NewUserClaims(public)
	change(claims)
	token, err := claims.Encode(a.key)
	must(t, err)
	seed, err := key.Seed()
	must(t, err)
	text, err := jwt.FormatUserConfig(token, seed)
	must(t, err)
	return writeFile(t, text)
}

// A server that trusts an operator lets in the users of its accounts, by their credentials files.
func TestCredentials(t *testing.T) {
	t.Parallel()
	operator, public := newKey(t, nkeys.CreateOperator)
	trusted := jwt.NewOperatorClaims(public)
	lab, system, unknown := newAccount(t), newAccount(t), newAccount(t)
	system.claims.Limits.JetStreamLimits = jwt.JetStreamLimits{}
	trusted.SystemAccount = system.claims.Subject
	accounts := &server.MemAccResolver{}
	for _, a := range []account{lab, system} {
		token, err := a.claims.Encode(operator)
		must(t, err)
		must(t, accounts.Store(a.claims.Subject, token))
	}
	url := startWith(t, &server.Options{
		JetStream: true, TrustedOperators: []*jwt.OperatorClaims{trusted}, AccountResolver: accounts, SystemAccount: system.claims.Subject,
	})
	same := func(*jwt.UserClaims) {}
	for _, test := range []struct{ name, url, file, want string }{
		{"user", url, lab.user(t, same), ""},
		{"user of an unknown account", url, unknown.user(t, same), "refuses these credentials"},
		{"expired", url, lab.user(t, func(c *jwt.UserClaims) { c.Expires = time.Now().Add(-time.Hour).Unix() }), "refuses these credentials"},
		{"none", url, "", "refuses these credentials"},
		{"not a credentials file", url, writeFile(t, []byte("secret")), "no credentials file"},
		{"no file", url, filepath.Join(t.TempDir(), "nothing.creds"), "--nats-creds cannot be used"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			wantConnection(t, Options{URL: test.url, Credentials: test.file}, test.want)
		})
	}
}
