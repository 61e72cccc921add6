"""What officers, cadets and the unit write in the demo."""

from dataclasses import dataclass

EXCUSE_REASONS = (
    "I had a fever of 39 degrees since Friday night and was advised to rest. My medical certificate follows.",
    "My grandmother passed away in Kapatagan; the burial is on the training day.",
    "I represent the college at the regional academic contest in Iligan City.",
    "The road to our barangay is impassable after the landslide; the certificate of the barangay is at the office.",
    "I have a dental extraction that could not be scheduled on another day.",
    "I observe the religious holiday with my family and ask to be excused for this day.",
    "My mother was brought to the hospital in Tubod and I have to watch over my younger siblings.",
    "I was bitten by a dog and receive the second dose of the vaccine at the health centre that morning.",
    "I take the scholarship examination of the province on the same day.",
    "Our field work for the practicum was moved to this Saturday by the department.",
)
WEAK_REASONS = (
    "I woke up late because I finished a project the night before.",
    "I had to help in our store because the helper was absent.",
    "My uniform was not dry in time.",
    "I missed the jeepney and the next one left after the formation.",
    "I attended the birthday of my cousin.",
)
REJECTION_NOTES = (
    "No supporting document was handed in.",
    "Not a valid reason under the rules of the unit.",
    "Handed in more than a week late.",
    "The certificate names another date.",
)
APPROVAL_NOTES = ("", "", "", "Certificate seen.", "Take part in the make-up session.")
LATE_REMARKS = (
    "",
    "",
    "",
    "",
    "Arrived during the flag ceremony.",
    "Traffic on the highway.",
    "Left duty at the gate.",
)

# Reason and the points that it usually brings.
MERIT_REASONS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("Best in drill of the platoon", (5, 10, 15)),
    ("Helped with the issue of equipment", (3, 5)),
    ("Voluntary duty at the flag ceremony", (5, 10)),
    ("Perfect score in the spot quiz", (5,)),
    ("Blood donation drive of the Red Cross", (10, 15)),
    ("Led the squad in the tree planting", (5, 10)),
    ("First aid given to a fellow cadet", (10, 15, 20)),
    ("Cleanest uniform at inspection", (5,)),
    ("Marshal at the foundation day of the university", (10, 15)),
)
LEADER_MERIT_REASONS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("Commanded the formation at the foundation day parade", (20, 25)),
    ("Planned and led the disaster drill of the corps", (15, 20)),
    ("Trained the colour guard outside of training hours", (10, 15)),
    ("Represented the corps at the regional annual administrative and tactical inspection", (20, 25)),
)
DEMERIT_REASONS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("Improper haircut", (3, 5)),
    ("Incomplete uniform", (5, 8)),
    ("Talking in ranks", (2, 3)),
    ("Nameplate missing", (2, 3)),
    ("Late for formation without notice", (3, 5)),
    ("Left the post without permission", (10, 15)),
    ("Mobile phone used during the lecture", (5,)),
    ("Disrespect towards a cadet officer", (15, 20)),
    ("Equipment returned dirty", (3, 5)),
)
REVOKE_REASONS = (
    "Recorded for the wrong cadet.",
    "Entered twice.",
    "The explanation of the cadet was accepted.",
    "Points were not those of the schedule of merits and demerits.",
)
# Component, points and reason; the last two take points away.
ADJUSTMENTS = (
    ("attendance", "2.00", "Represented the unit at the regional competition on a training day."),
    ("attendance", "4.00", "Two days of duty at the evacuation centre count as attended."),
    ("aptitude", "1.50", "Demerits of the first week were issued before the rules had been explained."),
    ("subject", "1.20", "Item 14 of the examination was withdrawn for all."),
    ("subject", "-2.00", "Found with notes during the examination."),
    ("aptitude", "-3.00", "Loss of an issued rifle replica."),
)

NOTICES = (
    ("Training day on Saturday", "Formation at 07:00 on the parade ground. Bring your ID and water."),
    ("Uniform inspection", "Inspection before the flag ceremony. Haircut and nameplate are checked."),
    ("Change of venue", "The lecture on first aid moves to the gymnasium."),
    ("Excuse letters", "Letters for last Saturday are accepted until Wednesday noon."),
    ("Midterm examination", "The midterm covers map reading and basic leadership."),
)


@dataclass(frozen=True, kw_only=True)
class Announced:
    """`days_ahead` to the day that it speaks of, `days_since` it was written; both from the story's today."""

    kind: str
    days_ahead: int
    days_since: int
    title: str
    text: str
    is_archived: bool = False


ANNOUNCEMENTS = (
    Announced(
        kind="announcement",
        days_ahead=-62,
        days_since=75,
        title="Enlistment for this term",
        text=(
            "Enlistment is at the ROTC office from Monday to Friday, 8:00 to 16:00. Bring your certificate of "
            "registration, two photos and a medical certificate."
        ),
        is_archived=True,
    ),
    Announced(
        kind="announcement",
        days_ahead=-40,
        days_since=47,
        title="Wearing of the uniform",
        text=(
            "From this Saturday on everybody wears the general training uniform with nameplate. Shoes are black "
            "and polished. Platoon leaders inspect at 06:45."
        ),
    ),
    Announced(
        kind="activity",
        days_ahead=-6,
        days_since=20,
        title="Tree planting along the Maigo river",
        text=(
            "The corps plants 500 seedlings with the barangays of Liangan West and Mentring. Wear long sleeves, "
            "bring water and a trowel if you have one. Transport leaves the parade ground at 06:30."
        ),
    ),
    Announced(
        kind="announcement",
        days_ahead=-2,
        days_since=5,
        title="Results of the preliminary examination",
        text=(
            "The scores of the preliminary examination can be seen in your standing. Whoever finds a mistake "
            "tells the instructor of the own company within two weeks."
        ),
    ),
    Announced(
        kind="activity",
        days_ahead=11,
        days_since=3,
        title="Blood donation with the Red Cross",
        text=("At the gymnasium, 8:00 to 12:00. Donors sleep well, have breakfast, and bring an ID. Merits are given."),
    ),
    Announced(
        kind="announcement",
        days_ahead=19,
        days_since=1,
        title="No training on foundation day",
        text=(
            "The parade ground is reserved for the foundation day of the university. The Colors and the Band "
            "report to the adjutant at 06:00."
        ),
    ),
)

# What is said in a company's room: minutes since the first line, who (0: the company's instructor, another number: one
# of its cadets), what.
COMPANY_THREADS = (
    (
        (0, 0, "Good evening. Formation on Saturday is at 07:00 sharp at the parade ground, not at the gymnasium."),
        (24, 1, "Noted, sir."),
        (31, 2, "Noted po. Do we bring the field pack?"),
        (55, 0, "No field pack. Water, ID, notebook."),
    ),
    (
        (0, 3, "Anong oras po ang flag ceremony?"),
        (12, 1, "06:45 daw, be early."),
    ),
    (
        (0, 4, "Unsa atong uniform ugma sa meeting sa squad leaders?"),
        (18, 2, "Type B, with nameplate."),
        (19, 4, "Salamat!"),
    ),
    (
        (0, 0, "Squad leaders: hand in the list of those without a nameplate until Friday noon."),
        (21, 1, "Yes, sir."),
        (190, 3, "Third squad is complete, list is on your table."),
    ),
    (
        (0, 2, "Is the first aid lecture open for those who were absent last week?"),
        (44, 0, "Yes. Come at 13:00 and sign the sheet at the door."),
    ),
    (
        (0, 1, "Assalamu alaikum. Is there a room for prayer during the break on Saturday?"),
        (15, 0, "Wa alaikum salam. The second lecture hall is open from 11:45 on."),
        (17, 1, "Salamat po, sir."),
    ),
)
# Hours before today's midnight, who of the staff (0: the Commandant), what.
STAFF_TALK = (
    (120.0, 0, "The scans of last Saturday are complete. Three cadets came without their code and were taken by hand."),
    (119.3, 1, "Thank you. I signed the excuse letters that were pending for more than three days."),
    (76.0, 2, "Midterm papers of Charlie and Delta are still being checked. I enter them this week."),
    (52.5, 1, "Please no merits without a reason that a stranger would understand."),
    (27.0, 3, "The gymnasium is ours for the first aid day; I have the confirmation of the registrar."),
    (6.5, 1, "Staff meeting on Thursday, 15:00, at the office."),
)
# The same; 0 is the Commandant, 1 the demo cadet.
DIRECT_TALK = (
    (55.0, 0, "Macaraeg, your letter for the training day has to name the date of the certificate."),
    (54.2, 1, "Yes, sir. I will hand in a corrected copy tomorrow."),
    (30.1, 1, "Sir, the corrected certificate is at the office now."),
    (29.7, 0, "Received. Thank you."),
)
