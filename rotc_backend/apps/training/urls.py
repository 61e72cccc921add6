from django.urls import path

from apps.training.api.views import attendance, days, exports, letters, scans

_DAY = "training-days/<id:training_day_id>"
_LETTER = "excuse-letters/<id:letter_id>"

urlpatterns = [
    path("training-days", days.TrainingDaysView.as_view(), name="training-days"),
    path(_DAY, days.TrainingDayView.as_view(), name="training-day"),
    path(f"{_DAY}/cancel", days.TrainingDayCancelView.as_view(), name="training-day-cancel"),
    path(f"{_DAY}/reinstate", days.TrainingDayReinstateView.as_view(), name="training-day-reinstate"),
    path(f"{_DAY}/attendance", attendance.DayAttendanceView.as_view(), name="day-attendance"),
    path(f"{_DAY}/attendance/export", exports.DayAttendanceExportView.as_view(), name="day-attendance-export"),
    path(f"{_DAY}/attendance/<id:cadet_id>", attendance.CadetDayAttendanceView.as_view(), name="cadet-day-attendance"),
    path(f"{_DAY}/staff-attendance", attendance.DayStaffAttendanceView.as_view(), name="day-staff-attendance"),
    path(
        f"{_DAY}/staff-attendance/<id:staff_id>",
        attendance.StaffDayAttendanceView.as_view(),
        name="staff-day-attendance",
    ),
    path(f"{_DAY}/attendance-code", scans.AttendanceCodeView.as_view(), name="attendance-code"),
    path(f"{_DAY}/attendance-code/image", scans.AttendanceCodeImageView.as_view(), name="attendance-code-image"),
    path(f"{_DAY}/scans", scans.ScansView.as_view(), name="scans"),
    path(f"{_DAY}/scans/batch", scans.ScanBatchView.as_view(), name="scan-batch"),
    path("cadets/me/attendance", attendance.OwnAttendanceView.as_view(), name="own-attendance"),
    path("cadets/<id:cadet_id>/attendance", attendance.CadetAttendanceView.as_view(), name="cadet-attendance"),
    path("staff/me/attendance", attendance.OwnStaffAttendanceView.as_view(), name="own-staff-attendance"),
    path("excuse-letters", letters.ExcuseLettersView.as_view(), name="excuse-letters"),
    path(_LETTER, letters.ExcuseLetterView.as_view(), name="excuse-letter"),
    path(f"{_LETTER}/file", letters.ExcuseLetterFileView.as_view(), name="excuse-letter-file"),
    path(f"{_LETTER}/approve", letters.ExcuseLetterApproveView.as_view(), name="excuse-letter-approve"),
    path(f"{_LETTER}/reject", letters.ExcuseLetterRejectView.as_view(), name="excuse-letter-reject"),
    path(f"{_LETTER}/withdraw", letters.ExcuseLetterWithdrawView.as_view(), name="excuse-letter-withdraw"),
]
