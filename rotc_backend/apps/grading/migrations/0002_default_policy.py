from django.db import migrations


def fill(apps, schema_editor):
    """The unit's rules of grading as decided; administrators may give a term its own."""
    apps.get_model("grading", "GradingPolicy").objects.get_or_create(
        term=None,
        defaults={
            "attendance_weight": "30.00",
            "aptitude_weight": "30.00",
            "subject_weight": "40.00",
            "attended_statuses": ["present", "late", "excused"],
            "bands": [["95.00", "1.00"], ["90.00", "1.50"], ["85.00", "2.00"], ["80.00", "2.50"], ["75.00", "3.00"]],
            "failing_equivalent": "5.00",
        },
    )


class Migration(migrations.Migration):
    dependencies = [("grading", "0001_initial")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
