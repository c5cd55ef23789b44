package elastictest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Jars is the environment variable that names the folder of an OpenSearch node's
// jars, as scripts/opensearch.sh fetches them.
const Jars = "MIDDEN_TEST_OPENSEARCH"

var shared struct {
	sync.Once
	url   string
	err   error
	alive *os.File // as long as it is open, the node may run
}

// Node returns the URL of a real OpenSearch node of the test process's own, on a
// free port of the loopback, with its data in a temporary folder. It ends with the
// process, however that ends. Tests share it: each takes a prefix of its own. Where no
// node was fetched, the test is skipped.
func Node(t testing.TB) string {
	t.Helper()
	jars := os.Getenv(Jars)
	if jars == "" {
		t.Skip(Jars + " names no OpenSearch node: make test-opensearch fetches one and runs this test")
	}
	shared.Do(func() { shared.url, shared.err = start(jars) })
	if shared.err != nil {
		t.Fatalf("OpenSearch: %v", shared.err)
	}
	return shared.url
}

const settings = `discovery.type: single-node
network.host: 127.0.0.1
transport.port: 0
node.processors: 2
cluster.routing.allocation.disk.threshold_enabled: false
`

const logging = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%p][%c{1}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
`

// started is what the node logs when it listens.
var started = regexp.MustCompile(`\[AbstractHttpServerTransport\] publish_address \{([0-9.:]+)\}`)

// start starts a node. The runner adds the node's number to the port that it is
// told: with -1 the node asks for port 0, and gets a free one.
func start(jars string) (url string, err error) {
	dir, err := os.MkdirTemp("", "midden-opensearch-")
	if err != nil {
		return "", err
	}
	conf := filepath.Join(dir, "conf")
	if err := os.Mkdir(conf, 0o700); err != nil {
		return "", err
	}
	for name, text := range map[string]string{"opensearch.yml": settings, "log4j2.properties": logging} {
		if err := os.WriteFile(filepath.Join(conf, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	read, write, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer read.Close()
	shared.alive = write
	// The shell ends the node when its input ends, which it does with this process.
	cmd := exec.Command("/bin/sh", "-c", `dir=$1; shift
		"$@" </dev/null >"$dir/log" 2>&1 & node=$!
		cat >/dev/null; kill -9 $node; wait $node; rm -rf "$dir"`, "sh", dir,
		"java", "-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(jars, "*"),
		"org.codelibs.opensearch.runner.OpenSearchRunner", "-basePath", filepath.Join(dir, "base"), "-confPath", conf,
		"-clusterName", "midden", "-numOfNode", "1", "-baseHttpPort", "-1")
	cmd.Stdin, cmd.Dir = read, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	go cmd.Wait()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		log, _ := os.ReadFile(filepath.Join(dir, "log"))
		if m := started.FindSubmatch(log); m != nil {
			return "http://" + string(m[1]), nil
		}
	}
	log, _ := os.ReadFile(filepath.Join(dir, "log"))
	write.Close()
	return "", fmt.Errorf("%w: %s", errors.New("it did not start in two minutes"), log)
}
