package event

import "strings"

// vocabulary are the words of states, results, reasons, checks and messages. Common names of persons are
// omitted where possible. TestVocabulary compares it with the words in the schemas and in events.
var vocabulary = setOf(`
a aadhaar abandoned abort aborted absent abuse accept acceptable accepted access account accuracy action activated
active ad add added additional address addresses adverse age aged agent alert alive allocated alloted allotted allowed
already altered amend amended amendment aml analysis and android anomaly answer answered any api app applicable
applicant application approval approve approved approving archived are as assess assessed assessment assigned
asynchronous attachment attempt attempts attribute audit auditor auth authentic authenticated authentication
authenticity authority authorized auto automated automatic automatically available await awaiting back backend
background bad badly bank barcode base based batch because before began begin begun behind being below bio biometric
birth birthdate blank blink block blocked blocklist blocklisted blur blurred blurry book booked border bot both bottom
bounds break brightness broken browser bureau business bvp bvr by call callback called caller camera can cancel
canceled cancellation cancelled cannot capture captured card case category center certificate change changed channel
character characters check checked checker checking checks chip claim claims class classification classified classify
clear clearance cleared client close closed closing code codes color colorness compare compared comparing comparison
complete completed completeness completing completion compliance compliant concluded condition conditional
conditionally confidence confident confirm confirmation confirmed confirming conflict connected connecting connection
connectivity consent consented consider considered consistency consistent contact contactless contain contains content
contested continue continued contradiction contrast correct corrected correction corrupt corrupted could count counter
counterfeit countries country cover covered crawler create created creating creation credit criminal critical crop
cropped cross current currently customer cut damage damaged dark data database date dates db dead deadline deceased
decision decisions declaration declare declared decline declined deepfake default deferred degraded delay delayed
delete deleted delivered delivery denied deny denylist deprecated describe descriptor desktop detail details detect
detected detection determined developer deviation device devices diagnose did differ difference different digit
digital digitally disabled disagree disapproved discarded disconnected discrepancy dispute disputed disqualified
distance do doc docs document documents does doesnt domain done double doubt doubtful down download downloaded draft
drafted driver drivers driving dropoff dropout dropped due duplicate duplicated duplicates duration earlier early edge
edit edited eid
electronic element elements eligibility eligible email embed embedded emirates employment empty emulator enabled
encrypted end ended ending enhanced enough enqueued enroll enrolled enrollment entered entity entry environment equal
error errored errors escalate escalated escalation esign establish estimate estimated estimation etalon evaluate
evaluated evaluation event events evidence exact exceed exceeded exception excess exclude excluded exhausted exist
existing exists exit expected expedited expiration expire expired expires expiring expiry explicit exposed extend
extended extension external extra extract extracted extraction eye eyes face facematch faces fact factor fail failed
failing fails failure fake false family far fast fatal father feature features feedback fetch fetched few field fields
file files final finalised finalized find fingerprint finish finished finishing first fit flag flagged flash flow
focus follow for forbidden force forced foreign forged forgery form format forward found fraud fraudulent free freeze
frequent from front frontend frozen full fully function further future gateway gear gears gender generate generated
generic geo geolocation get ghost given glare glares glasses go gone good gps granted graphic graphics group guidance
had halt halted hand handed handle handled hardware has hash have head health help here hidden high hijri hit hits
hold holder hologram home host hosted hour hours house human icao id ideal identical identification identified
identifier identifiers identify identity idle idp ids idv if ignore ignored illegible image imagery images img immediate
impersonation import in inactive incident include included incoming incomplete inconclusive inconsistent incorrect
incorrectly indeterminate individual ineligible info inform information informed initial initialized initiate
initiated initiating input inquiry inside insolvency inspect inspected inspection instant insufficient integration
integrity intent interaction interim internal interrupted interval interview invalid invalidated investigate
investigation invitation invite invited invoked ios ip irregular is isnt issuance issue issued issuer issues it item
items its jailbroken join joined journey jpeg jpg json jurisdiction just kbv keep kept key keyboard keys kind known
kyb kyc label laminated language laptop large last late later latin lead leave left legal legit legitimate length less
level library licence license life light lighting like limit limited line link linked list listed live liveliness
liveness load loaded loading local locale locality location lock locked log logged login logo look lookup lost low
lower machine made magnetic main maintenance maker manipulated manipulation manual manually many map mapped mask
masked match matched matches matching maximum measure mechanism media medium meet meets member merged message met
metadata method middle minimum minor minute minutes miscellaneous mismatch mismatched missing mobile mode model
moderate modified moment monior monitor monitored monitoring more most mother motion move moved mp mrtd mrz multi
multiple must mutual na name names national nationalities nationality native near need needed needs negative network
never new next nfc no noise non none normal not note notes notice notification notified null number numbers oauth object
obscured observation observed obsolete obstructed obtained occluded occlusion occupation occurred ocr of off offer
office offline ogm oidc ok okay old older on onboarding once one ongoing only onto opaque open opened opening operation
operator optical option optional or order origin original originator other others otk otp out outcome outdated outside
over overall overdue overlap overridden override overruled own owner pad page paid pan parse parsed part partial
partially parties parts party pass passed passes passing passive passport password past path pattern pause paused pay
payload payment peer pending pep per percentage perform performed performing perhaps period permanent permission
permit permitted person personal perspective phase phone photo photocopy photos physical picture pixelated place plain
plausible png policy politically poll pool poor portal portrait position positioned positive possible possibly post
postal posted postponed potential potentially pre preliminary presence present presented previous previously primary
print printed prior priority private probability probable problem proceed proceeding process processed processes
processing product profile progress prohibited prompt proof properties property proposed protected prove proven
provide provided provider proxy public pulled purged purpose push pushed put pvp pvr qa qna qr qualified quality
quarantine quarantined query question questionable questionnaire questions queue queued quick quit quota random range
rate rated raw re reach reached reactivated read readable reader reading ready real reapply reason reasons reassess
reassessed reassigned rebooked recapture receipt received recent recheck rechecked recognise recognised recognition
recognized reconnected record recorded recording records recover recovered redacted redaction redirect redirected redo
reduced refer reference referral referred refresh refreshed refund refunded refuse refused region register registered
registration registry regular regulatory reject rejected rejecting rejection rejoin related relation released reliable
remaining reminder remote remove removed render renew renewal renewed reopen reopened repeat repeated replaced
replacement replay report reported request requested requesting require required requirement requires rescan
reschedule rescheduled residence resident resolution resolve resolved resource resources respond response restart
restarted restricted restriction restrictions resubmission resubmit resubmitted result results resume resumed retake
retakes retried retries retry retrying return returned reused reverse reversed review reviewed reviewer reviewing
reviews revisit revoke revoked rfid right risk risky role rollback rotated rule rules run running same sanction
sanctioned sanctions saved scan scanned scanning schedule scheduled schema scope score scores screen screened
screening screenshot script sdk search seconds secret section secure secured security see seen selected self selfie
selfies send sending sent separate sequence server service session sessions set setup several severe severity shadow
share shared sheet shield should show shown side sides sign signal signals signature signed similar similarity simple
since single site size skip skipped skipping slow small smile sms social some something sorry source sources special
specific specified spoof spoofed spoofing spot spouse ssn staff stage stale stalled standard start started starting
state statement status step steps still stolen stop stopped storage stored stream string structure stuck subject
submission submit submitted submitting subscribed subtype success successful successfully such sufficient suggest
suggested summary superseded supplied support supported suspect suspected suspend suspended suspension suspicious
switch switched synced synchronized synthetic system table tablet tag taken tamper tampered tampering target task tax
technical template temporarily temporary terminal terminate terminated termination terms test tested testing text than
that the their then there these they third this threshold throttled through ticket tilted time timed timeout timer
times tips title to token too tool top tor total touch track trail transaction transfer transferred transit transition
transliteration trial tried trigger triggered true trust trusted try trying twice two type types ui unable unapproved
unassigned unauthenticated unauthorized unavailable unaware unblocked uncertain unchanged unchecked unclaimed unclear
uncompleted unconfirmed undecided undefined under underage undetected undetermined undo unequal unexpected unfinished
unfit unhandled unidentified unique unit unknown unlikely unlinked unlock unlocked unmapped unmatched unpaid
unprocessable unprocessed unreachable unread unreadable unrecognised unrecognized unregistered unrelated unreliable
unresolved unresponsive unreviewed unsatisfactory unscheduled unspecified unstable unstarted unsubmitted unsuccessful
unsupported unsure until untimed untrusted unusable unused unusual unverified up upcoming update updated updating
upgrade upgraded upload uploaded uploading upon upper urgent url us usable use used user users using vague valid
validate validated validating validation validations validator value values vcrypt vdig vds vehicle velocity vendor
verdict verification verifications verified verifier verify verifying version very via victim video view viewed
violated violation virtual visa visible vision visit visual vkyc voice void voided volume voter vpip vpiruv vpn vri
wait waited waiting waived want warn warned warning warnings was watch watched watchlist watermark way weak web
webhook were what when where which while with withdrawn within without word words work worked worker working would
written wrong x xml year years yes yet you your zero zip zone
`)

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}
