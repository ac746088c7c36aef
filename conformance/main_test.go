// Package conformance runs the official Gateway API conformance suite, as it is, against an edge of `gatewright up`.
//
// What the suite has to know of gatewright is configuration: options.yaml. `make conformance` starts the edge and runs
// it; a whole run fails unless every profile and feature for Gateways is claimed and every test ran and passed. With
// -partial it may claim less, as of the load balancers of AWS: options-alb.yaml and options-nlb.yaml say why.
package conformance

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/tests"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
)

var (
	seed = flag.String("seed", "", "the tests' order: empty is the suite's own, \"random\" a new one, a number an earlier one")
	only = flag.String("tests", "", "run only the tests whose names match this regular expression, and write no report")
	part = flag.Bool("partial", false, "the options may leave out profiles, features and tests; those must say why")
	bare = flag.Bool("without-base-gateways", false, "let no test wait for the suite's base Gateways, which have HTTP listeners")
	dns  = flag.String("dns", "", "address and port of the DNS server that knows the names of load balancers")
)

// official are the suite's tests for Gateways; its others are for service meshes.
var official = slices.DeleteFunc(slices.Clone(tests.ConformanceTests), func(test suite.ConformanceTest) bool {
	return meshFeatures.HasAny(test.Features...)
})

func TestConformance(t *testing.T) {
	requireWellKnownPorts(t)
	resolveBy(*dns)
	opts := conformance.DefaultOptions(t)
	whole := *only == "" && opts.RunTest == ""
	if whole && !*part {
		requireWholeClaim(t, opts.ConfigurableOptions)
	}
	if !whole {
		opts.ReportOutputPath = ""
	}
	if *bare {
		opts.ManifestFS = withoutBaseGateways(t)
	}
	awaitNoNamespaces(t, opts)

	chosen := choose(t)
	outcomes := &outcomes{of: map[string]bool{}}
	t.Cleanup(outcomes.print)
	tests.ConformanceTests = nil
	for _, test := range chosen {
		tests.ConformanceTests = append(tests.ConformanceTests, outcomes.watch(test))
	}
	// A cleanup runs after all that the suite leaves to its own.
	t.Cleanup(func() {
		if whole && !*part && !t.Failed() {
			requireAll(t, chosen, outcomes)
		}
		if opts.ReportOutputPath != "" && !t.Failed() {
			tidyReport(t, opts.ReportOutputPath)
		}
	})
	conformance.RunConformanceWithOptions(t, opts)
}

// resolveBy lets every dial of this process, by whatever client of the suite's, ask one DNS server.
func resolveBy(server string) {
	if server == "" {
		return
	}
	ask := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server)
	}
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: ask}
}

// requireAll fails the run when a test was skipped.
func requireAll(t *testing.T, chosen []suite.ConformanceTest, outcomes *outcomes) {
	t.Helper()
	for _, test := range chosen {
		if _, ran := outcomes.of[test.ShortName]; !ran {
			t.Errorf("%s: skipped", test.ShortName)
		}
	}
}

// requireWellKnownPorts says at once what would otherwise show as a timeout of each test.
func requireWellKnownPorts(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.63.255.1:80")
	if err != nil {
		t.Fatalf("the suite needs Gateways on port 80 of addresses in 127.0.0.0/8: %v\n"+
			"On Linux, allow it by: sudo sysctl net.ipv4.ip_unprivileged_port_start=80", err)
	}
	listener.Close()
}

// awaitNoNamespaces waits until what an earlier run on the same edge left to be deleted is gone (-test.count=2).
func awaitNoNamespaces(t *testing.T, opts suite.ConformanceOptions) {
	t.Helper()
	namespaces := opts.Clientset.CoreV1().Namespaces()
	for _, name := range []string{suite.InfrastructureNamespace, suite.AppBackendNamespace, suite.WebBackendNamespace} {
		gone := func(ctx context.Context) (bool, error) {
			_, err := namespaces.Get(ctx, name, metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		}
		if err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, gone); err != nil {
			t.Fatalf("Namespace %s is still there: %v", name, err)
		}
	}
}

// choose returns the tests to run, in the order that -seed asks for.
func choose(t *testing.T) []suite.ConformanceTest {
	t.Helper()
	pattern, err := regexp.Compile(*only)
	if err != nil {
		t.Fatalf("-tests: %v", err)
	}
	chosen := slices.DeleteFunc(slices.Clone(official), func(test suite.ConformanceTest) bool {
		return !pattern.MatchString(test.ShortName)
	})
	if len(chosen) == 0 {
		t.Fatalf("-tests: no test's name matches %q", *only)
	}
	if *seed == "" {
		return chosen
	}
	number := rand.Uint64()
	if *seed != "random" {
		if number, err = strconv.ParseUint(*seed, 10, 64); err != nil {
			t.Fatalf("-seed: found %q, expected \"random\" or a number: %v", *seed, err)
		}
	}
	fmt.Printf("the tests run in random order: -seed=%d\n", number)
	rand.New(rand.NewPCG(number, 0)).Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	return chosen
}

// outcomes are the tests that ran, and whether each passed.
type outcomes struct {
	of map[string]bool
}

// watch returns the test with its outcome noted and printed.
//
// It makes tests run one after the other: the suite takes the outcome of a parallel one for its report before that one
// has begun, so that the report would call it passed in any case.
func (o *outcomes) watch(test suite.ConformanceTest) suite.ConformanceTest {
	body := test.Test
	test.Parallel = false
	test.Test = func(t *testing.T, s *suite.ConformanceTestSuite) {
		started := time.Now()
		// Cleanups run after the subtests, the parallel ones too.
		t.Cleanup(func() {
			o.of[test.ShortName] = !t.Failed()
			fmt.Printf("%-6s %5.1f s  %s\n", verdict(!t.Failed()), time.Since(started).Seconds(), test.ShortName)
		})
		body(t, s)
	}
	return test
}

func (o *outcomes) print() {
	var failed []string
	for name, passed := range o.of {
		if !passed {
			failed = append(failed, name)
		}
	}
	slices.Sort(failed)
	fmt.Printf("%d tests passed, %d failed %s\n", len(o.of)-len(failed), len(failed), strings.Join(failed, " "))
}

func verdict(passed bool) string {
	if passed {
		return "passed"
	}
	return "FAILED"
}
