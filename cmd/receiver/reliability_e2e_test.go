//go:build e2e

package main_test

import (
	"testing"
	"time"
)

// The long forms of the runs.

func TestReliabilityEveryFaultLong(t *testing.T)   { everyFault(t, 4000, 6) }
func TestReliabilityWeekLong(t *testing.T)         { week(t, 10*time.Second, time.Hour) }
func TestReliabilityKeyRotationLong(t *testing.T)  { rotation(t, 2000) }
func TestReliabilityBrokenReloadLong(t *testing.T) { brokenReload(t, 1000) }
func TestReliabilityEdgeLong(t *testing.T)         { cutEdges(t, time.Minute) }
