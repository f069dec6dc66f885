package publish_test

import (
	"testing"

	"receiver/internal/natstest"
)

func TestMain(m *testing.M) { natstest.Tests{M: m, AtOnce: 8}.Run() }
