// Package conformance runs the official Gateway API conformance suite, as it is, against an edge of `gatewright up`.
//
// What the suite has to know of gatewright is configuration: options.yaml. `make conformance` starts the edge and runs
// it; `-shuffle on` or `-shuffle SEED` runs its tests in another order.
package conformance

import (
	"flag"
	"math/rand/v2"
	"strconv"
	"testing"

	"sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/tests"
)

func TestConformance(t *testing.T) {
	if order := flag.Lookup("test.shuffle").Value.String(); order != "off" {
		seed, err := strconv.ParseUint(order, 10, 64)
		if err != nil {
			seed = rand.Uint64()
		}
		t.Logf("the tests run in random order: -shuffle %d", seed)
		suite := tests.ConformanceTests
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(suite), func(i, j int) { suite[i], suite[j] = suite[j], suite[i] })
	}
	conformance.RunConformance(t)
}
