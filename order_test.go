package kycbridge

import (
	"testing"

	"kycbridge/event"
)

func TestOurNoticesSetNoThreshold(t *testing.T) {
	checkRule(t, map[string]ruleCase{
		"an end that is older than our watch": {
			[]Fact{notice(60, NoticeWatched), at(1, ended(event.StatusAbandoned))},
			"updated closed", "abandoned/none",
		},
		"progress that is older than our watch": {
			[]Fact{notice(60, NoticeWatched), at(1, progress(event.StatusInProgress))},
			"updated updated", "in_progress/none",
		},
		"a watch between two words of the provider": {
			[]Fact{at(1, progress(event.StatusInProgress)), notice(60, NoticeWatched), at(2, ended(event.StatusAbandoned))},
			"updated unchanged closed", "abandoned/none",
		},
		"our end gives way to an older end": {
			[]Fact{at(5, progress(event.StatusInProgress)), notice(90, NoticeDeadline),
				lateAt(10, ended(event.StatusAbandoned))},
			"updated closed closed", "abandoned/none",
		},
		"our end gives way to progress": {
			[]Fact{at(5, progress(event.StatusCreated)), notice(90, NoticeDeadline),
				lateAt(6, progress(event.StatusInProgress))},
			"updated closed updated", "in_progress/none",
		},
		"our end gives way to a word that is older than what was known": {
			[]Fact{at(5, progress(event.StatusProcessing)), notice(90, NoticeDeadline),
				lateAt(1, progress(event.StatusCreated))},
			"updated closed updated", "processing/none",
		},
		"our end of an unknown session gives way": {
			[]Fact{notice(90, NoticeUnknown), lateAt(1, progress(event.StatusInProgress))},
			"closed updated", "in_progress/none",
		},
		"our end leaves a request that stood": {
			[]Fact{at(1, resubmit()), notice(90, NoticeDeadline), lateAt(2, progress(event.StatusInProgress))},
			"updated closed updated", "requires_input/resubmit",
		},
		"our end is late where the provider has spoken since": {
			[]Fact{fact(60, progress(event.StatusInProgress)), notice(50, NoticeDeadline)},
			"updated old", "in_progress/none",
		},
		"our end leaves a verdict": {
			[]Fact{at(1, approved()), notice(70, NoticeDeadline)},
			"completed unchanged", "completed/approved",
		},
		"the provider's clock is minutes behind our look": {
			[]Fact{looked(60, progress(event.StatusProcessing)), at(56, ended(event.StatusAbandoned))},
			"updated closed", "abandoned/none",
		},
		"a note is the first word of the provider though we spoke first": {
			[]Fact{notice(60, NoticeWatched), at(1, Observation{Effect: EffectNote, Status: event.StatusProcessing})},
			"updated updated", "processing/none",
		},
	})
}

func TestTimesThatCannotBeTrusted(t *testing.T) {
	checkRule(t, map[string]ruleCase{
		"an undated verdict counts where nothing is decided": {
			[]Fact{at(1, progress(event.StatusProcessing)), undated(60, approved())},
			"updated completed", "completed/approved",
		},
		"one that repeats what stands": {
			[]Fact{at(1, approved()), undated(60, approved())},
			"completed unchanged", "completed/approved",
		},
		"an approval after a rejection": {
			[]Fact{at(1, rejected()), undated(60, approved())},
			"completed updated", "in_review/review system.untimed",
		},
		"a rejection after an approval": {
			[]Fact{at(1, approved()), undated(60, rejected())},
			"completed updated", "in_review/review system.untimed",
		},
		"one from the year 2126": {
			[]Fact{at(1, approved()), fact(60, ahead(rejected()))},
			"completed updated", "in_review/review system.untimed",
		},
		"one from before anything can have happened": {
			[]Fact{at(1, approved()), fact(60, dated(1999, rejected()))},
			"completed updated", "in_review/review system.untimed",
		},
		"a few minutes ahead of our clock are trusted": {
			[]Fact{at(1, approved()), at(64, rejected())},
			"completed completed", "completed/rejected",
		},
		"a dated verdict counts against a standing undated one, however old": {
			[]Fact{undated(60, approved()), at(1, rejected())},
			"completed completed", "completed/rejected",
		},
		"two undated ones that differ": {
			[]Fact{undated(60, approved()), undated(61, rejected())},
			"completed updated", "in_review/review system.untimed",
		},
		"what comes again stays uncertain": {
			[]Fact{at(1, rejected()), undated(60, approved()), undated(60, approved()), at(1, rejected())},
			"completed updated unchanged unchanged", "in_review/review system.untimed",
		},
		"a newer dated verdict settles it": {
			[]Fact{at(1, rejected()), undated(60, approved()), at(2, approved())},
			"completed updated completed", "completed/approved",
		},
		"an older dated verdict does not settle it": {
			[]Fact{at(5, rejected()), undated(60, approved()), at(2, approved())},
			"completed updated old", "in_review/review system.untimed",
		},
		"an undated fact sets no instant": {
			[]Fact{undated(60, progress(event.StatusProcessing)), at(1, ended(event.StatusAbandoned))},
			"updated closed", "abandoned/none",
		},
		"undated progress is older than anything that is dated": {
			[]Fact{at(1, progress(event.StatusProcessing)), undated(60, progress(event.StatusInProgress))},
			"updated old", "processing/none",
		},
		"undated facts alone go by the order in which they came": {
			[]Fact{
				undated(60, progress(event.StatusInProgress)), undated(62, progress(event.StatusProcessing)),
				undated(61, progress(event.StatusCreated)),
			},
			"updated updated old", "processing/none",
		},
		"an undated end closes what is open": {
			[]Fact{at(1, progress(event.StatusInProgress)), undated(60, ended(event.StatusAbandoned))},
			"updated closed", "abandoned/none",
		},
		"an undated doubt takes back an approval, which coming again does not return": {
			[]Fact{at(1, approved()), undated(60, doubtBy(event.StageManualReview, event.ActorHuman)), at(1, approved())},
			"completed updated unchanged", "unknown/none system.unmapped_status",
		},
		"a machine's undated verdict yields to a person": {
			[]Fact{at(1, byHuman(event.OutcomeRejected)), undated(60, approved())},
			"completed old", "completed/rejected",
		},
		"a body that we asked for and that states no time is dated by us": {
			[]Fact{looked(10, approved()), looked(20, rejected())},
			"completed completed", "completed/rejected",
		},
	})
}
