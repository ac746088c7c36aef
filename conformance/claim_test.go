package conformance

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	confv1 "sigs.k8s.io/gateway-api/conformance/apis/v1"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/pkg/features"
	"sigs.k8s.io/yaml"
)

// gatewayProfiles are all that the suite has for Gateways.
var gatewayProfiles = []suite.ConformanceProfile{
	suite.GatewayHTTPConformanceProfile,
	suite.GatewayGRPCConformanceProfile,
	suite.GatewayTLSConformanceProfile,
	suite.GatewayTCPConformanceProfile,
	suite.GatewayUDPConformanceProfile,
}

var meshFeatures = features.SetsToNamesSet(features.MeshCoreFeatures, features.MeshExtendedFeatures)

// requireWholeClaim fails the run when the options leave out a profile, a feature or a test.
func requireWholeClaim(t *testing.T, opts suite.ConfigurableOptions) {
	t.Helper()
	for _, profile := range gatewayProfiles {
		if !slices.Contains(opts.ConformanceProfiles, profile.Name) {
			t.Errorf("options: conformanceProfiles lacks %s", profile.Name)
		}
	}
	for _, name := range slices.Sorted(slices.Values(features.SetsToNamesSet(features.AllFeatures).UnsortedList())) {
		if claimed := slices.Contains(opts.SupportedFeatures, name); !claimed && !meshFeatures.Has(name) {
			t.Errorf("options: supportedFeatures lacks %s", name)
		}
	}
	if len(opts.ExemptFeatures) > 0 || len(opts.SkipTests) > 0 || opts.SkipProvisionalTests {
		t.Errorf("options: exemptFeatures, skipTests and skipProvisionalTests must not be set")
	}
	if t.Failed() {
		t.FailNow()
	}
}

// tidyReport gives the report a stable order of profiles (the suite's is that of a Go map) and prints its numbers.
func tidyReport(t *testing.T, path string) {
	t.Helper()
	var report confv1.ConformanceReport
	raw, err := os.ReadFile(path)
	if err == nil {
		err = yaml.UnmarshalStrict(raw, &report)
	}
	if err != nil {
		t.Fatalf("reading the report: %v", err)
	}
	slices.SortFunc(report.ProfileReports, func(a, b confv1.ProfileReport) int { return strings.Compare(a.Name, b.Name) })
	if raw, err = yaml.Marshal(report); err == nil {
		err = os.WriteFile(path, raw, 0o644)
	}
	if err == nil {
		err = os.Chmod(path, 0o644) // the suite leaves it readable by its owner only
	}
	if err != nil {
		t.Fatalf("writing the report: %v", err)
	}
	for _, profile := range report.ProfileReports {
		core, extended := profile.Core.Statistics, confv1.ExtendedStatus{}
		if profile.Extended != nil {
			extended = *profile.Extended
		}
		fmt.Printf("%-12s core %d passed, %d failed, %d skipped; extended %d passed, %d failed, %d skipped, %d features not supported\n",
			profile.Name, core.Passed, core.Failed, core.Skipped, extended.Passed, extended.Failed, extended.Skipped,
			len(extended.UnsupportedFeatures))
		missing := core.Skipped+extended.Skipped > 0 || len(extended.UnsupportedFeatures) > 0
		if core.Failed+extended.Failed > 0 || missing && !*part {
			t.Errorf("%s: the report isn't complete", profile.Name)
		}
	}
}
